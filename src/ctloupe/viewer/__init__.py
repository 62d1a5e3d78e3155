"""Looking at volumes in the browser: the server on this machine, its page, and the same page as one file."""

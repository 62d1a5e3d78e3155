"""Loss terms, one idea a file, each a pure function or a small module."""

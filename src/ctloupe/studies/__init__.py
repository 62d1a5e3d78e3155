"""Paper tables as data, and a runner that fills them with our numbers."""

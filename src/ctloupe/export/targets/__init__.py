"""The kinds of files that a model is exported to, one file each."""

"""TIFF: a multi-page file, or a folder with one file a slice."""

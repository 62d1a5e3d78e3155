"""A comparison as a page: words, tables, pictures, PDF."""

"""Stores that are filled slab by slab, continued after an interruption, and shared by workers."""

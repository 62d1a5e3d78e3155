"""Trained models by name: packed into one file with card and licence, fetched, checked, and found again."""

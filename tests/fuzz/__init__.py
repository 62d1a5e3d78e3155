"""Thousands of damaged volumes, each read in a process of its own beside an independent reader."""

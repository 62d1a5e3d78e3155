"""Trained models as files that other programs run without this package."""

"""Applying a trained model to a volume."""

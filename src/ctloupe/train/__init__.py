"""Fitting a method to patch banks."""

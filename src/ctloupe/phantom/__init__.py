"""Anatomy with known truth, and the simulated scanners that image it."""

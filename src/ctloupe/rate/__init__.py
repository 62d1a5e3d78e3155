"""Blinded rating by people: who sees what in which order, and what their marks say."""

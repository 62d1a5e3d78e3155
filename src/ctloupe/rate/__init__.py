"""Blinded rating by people: who sees which pictures in which order, and what their marks say."""

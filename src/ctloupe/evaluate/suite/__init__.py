"""Benchmarks that others can run, and the leaderboards that results are gathered in."""

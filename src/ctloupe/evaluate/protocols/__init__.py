"""Named ways to compare: which metrics, of what, in which version."""

"""Other projects' ways from clinical CT to the µCT's grid, one file each; `benchmarks/peers.py` runs them.

A peer is a module with ``PACKAGES``, what it needs, and ``fit(pairs, budget, seed)``, which returns a function from a
scan ``(1, 1, h, w)`` in [−1, 1] to ``(1, 1, s·h, s·w)``. It is imported only when it is asked for.
"""

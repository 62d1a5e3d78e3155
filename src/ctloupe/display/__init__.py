"""Volumes laid on each other in millimetres: the planes, levels and tiles that are looked at, and pictures of them."""

"""Winograd's convolutions, compiled from C, which PyTorch has only in part."""

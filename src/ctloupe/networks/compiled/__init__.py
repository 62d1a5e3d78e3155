"""Convolutions and normalisation compiled from C, which PyTorch has only in part or slower."""

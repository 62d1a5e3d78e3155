"""What a phantom can be of: one file an anatomy, and the registry that lists them."""

"""What evaluation has compiled from C."""

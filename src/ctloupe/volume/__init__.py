"""The `Volume`, every file format it comes from and goes to, and the errors of the whole package. No torch."""

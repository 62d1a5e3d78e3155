"""The network of Physics-Flow: one that knows the time of a flow and the scanner, and what enhances with it."""

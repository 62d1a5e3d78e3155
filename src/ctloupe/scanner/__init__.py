"""One description of a clinical scanner: simulated, estimated, inverted."""

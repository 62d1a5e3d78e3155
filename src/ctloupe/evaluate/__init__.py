"""How good an enhanced volume is: metrics, protocols that say what was compared, and a page to read."""

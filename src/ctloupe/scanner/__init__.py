"""What a clinical scanner does to an image, described once: simulated, applied backwards, and estimated from scans."""

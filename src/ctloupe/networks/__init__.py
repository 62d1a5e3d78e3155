"""Building blocks: generators, discriminators and the layers they share."""

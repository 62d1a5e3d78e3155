"""The first run: from phantoms to a report in a few minutes, with nothing but this package."""

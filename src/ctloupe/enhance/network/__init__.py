"""A network made ready for one volume: fixed statistics, fast layers, exact tiles."""

"""Intensity windows, spectra and statistics of images, whatever they are used for."""

"""Shapes of distributions, and how far two of them are apart: the inside of ``drift``."""

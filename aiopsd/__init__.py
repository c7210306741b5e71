"""aiopsd watches metrics and logs, finds what is wrong and why, and heals it."""

__version__ = "0.1.0"

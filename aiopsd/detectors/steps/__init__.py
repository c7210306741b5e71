"""Levels that change and stay: the inside of ``step``."""

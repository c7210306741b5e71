"""Simulated worlds in virtual time, with the truth known."""

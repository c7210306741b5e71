"""Strict loopback servers for services that can't run in the tests.

Each one is held to recordings of the real service by `tests/contract/test_loopback_*.py`; what it
doesn't model it refuses loudly. None of them imports the product.
"""

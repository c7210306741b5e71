"""The same house as in tests/e2e: a sick service, a way to heal it, and people who are told."""

from tests.e2e.conftest import daemon, exporter, slack

__all__ = ["daemon", "exporter", "slack"]

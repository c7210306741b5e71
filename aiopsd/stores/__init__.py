"""Where events are kept. Pick one; add one with a file and a line."""

from aiopsd.stores.memory import MemoryStore
from aiopsd.stores.sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore"]

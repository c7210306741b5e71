"""A change in a line that people read. Pure."""

from __future__ import annotations

from aiopsd.model import Change


def in_words(change: Change) -> str:
    """``deploy checkout v1 -> v2 by alice, with a migration``."""
    version = change.version
    if change.previous and change.version:
        version = f"{change.previous} -> {change.version}"
    state = change.labels.get("state", "") if change.kind == "restart" and not version else ""
    words = [change.kind, change.service, version, state and f"({state})"]
    by = f" by {change.author}" if change.author else ""
    playbook = f" (playbook {change.labels['playbook']})" if "playbook" in change.labels else ""
    migration = ", with a migration" if change.migration else ""
    return " ".join(filter(None, words)) + by + playbook + migration

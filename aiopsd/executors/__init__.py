"""Who does things to the world. Add one with a file and a line here."""

from __future__ import annotations

from aiopsd.executors.command import CommandSettings
from aiopsd.executors.http import HttpSettings
from aiopsd.executors.systemd import SystemdSettings

ExecutorSettings = CommandSettings | HttpSettings | SystemdSettings


def default_executors() -> dict[str, ExecutorSettings]:
    """What playbooks may name without a word in the configuration."""
    return {"command": CommandSettings(), "http": HttpSettings(), "systemd": SystemdSettings()}


__all__ = ["ExecutorSettings", "default_executors"]

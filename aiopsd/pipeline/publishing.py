"""How a stage says what has happened: journalled on return, then told."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from aiopsd.model import AnyEvent


class Publish(Protocol):
    def __call__(self, *events: AnyEvent) -> Awaitable[None]: ...

"""What a notifier has already said, so that a restart does not make it say it again."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Literal

import msgspec

from aiopsd.contracts import NotifierContext
from aiopsd.model import Delivery, Incident, Run

_encode = msgspec.json.Encoder(order="sorted").encode


class Said:
    """The deliveries of one notifier: those of the journal, and its own since then."""

    def __init__(self, context: NotifierContext) -> None:
        self._name = context.name
        self._record = context.record
        # A copy: the house may drop what it thinks is over before we have compared it.
        mine = f"{context.name}/"
        self._known = {k: one for k, one in context.delivered.items() if k.startswith(mine)}

    def about(self, thing: str) -> Delivery | None:
        """What was said last about an incident or a run."""
        return self._known.get(f"{self._name}/{thing}")

    def digest(self, thing: str) -> str:
        """Of what was said last; empty if nothing was."""
        delivery = self.about(thing)
        return delivery.digest if delivery else ""

    async def record(
        self,
        thing: str,
        state: Literal["sending", "sent"] = "sent",
        *,
        digest: str = "",
        ref: Mapping[str, str] | None = None,
        told: int = 0,
    ) -> Delivery:
        """Durable on return."""
        key = f"{self._name}/{thing}"
        delivery = Delivery(id=key, state=state, digest=digest, ref=dict(ref or {}), told=told)
        await self._record(delivery)
        self._known[key] = delivery
        return delivery


def digest(said: bytes) -> str:
    return blake2b(said, digest_size=8).hexdigest()


def as_json(thing: Incident | Run) -> bytes:
    """The same thing gives the same bytes, before and after a restart."""
    return _encode(thing)

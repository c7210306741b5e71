"""Who writes to us, and who has fallen silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiopsd.contracts import Health

FORGET_SECS = 86400.0  # it was replaced: agents come and go with their hosts
MOST = 200  # senders that are told apart; of a larger crowd, those heard last
LOOKS = 4  # in the time after which one is silent


class Senders:
    """Each address is a part of its own in what is said of health: ``source/address``."""

    def __init__(self, name: str, health: Health, silent_secs: float) -> None:
        self._name, self._health, self._silent_secs = name, health, silent_secs
        self._heard_s: dict[str, float] = {}  # the one heard last is the last
        self._refused = ""  # what was said last to somebody whose samples were not taken
        self._since_s = 0.0

    def begin(self, now_s: float, expected: Iterable[str] = ()) -> None:
        """``expected`` wrote to us before we were started again."""
        self._since_s = now_s
        self._heard_s = dict.fromkeys(list(expected)[-MOST:], now_s)

    @property
    def addresses(self) -> list[str]:
        return list(self._heard_s)

    def hear(self, address: str, now_s: float) -> None:
        if not self._heard_s:
            self._health.back(self._name)
        self._refused = ""
        self._heard_s.pop(address, None)
        self._heard_s[address] = now_s
        if len(self._heard_s) > MOST:
            del self._heard_s[next(iter(self._heard_s))]
        self._health.back(f"{self._name}/{address}")

    def refuse(self, address: str, why: str) -> None:
        """Somebody is there, and gets nothing across."""
        self._refused = f"all that was written was refused, the last of it from {address}: {why}"

    async def watch(self, clock: Callable[[], float]) -> None:
        """Looks for ever."""
        while True:
            await asyncio.sleep(self._silent_secs / LOOKS)
            self.look(clock())

    def look(self, now_s: float) -> None:
        """Says who has not been heard for too long."""
        for address, heard_s in list(self._heard_s.items()):
            secs = now_s - heard_s
            if secs >= self._silent_secs:
                self._health.gone(f"{self._name}/{address}", f"wrote nothing for {secs:.0f} s")
            if secs >= max(FORGET_SECS, self._silent_secs):
                del self._heard_s[address]
        if not self._heard_s and now_s - self._since_s >= self._silent_secs:
            self._health.gone(self._name, self._refused or "nobody has written yet")

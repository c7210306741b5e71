"""What was refused for good, told once until it goes well again: its sender drops it."""

from __future__ import annotations

import re
from typing import Final

from aiopsd.sources.pushed import Wrong
from aiopsd.telemetry import log

MOST_TOLD: Final = 200  # of a larger crowd, the first ones
_KIND: Final = re.compile(r"[\d,]*([^\d'\"`]*)")  # of a reason, without what it is about


class Refusals:
    def __init__(self, name: str) -> None:
        self._name = name
        self._told: set[tuple[str, int, str]] = set()  # senders, and how they were refused

    def tell(self, wrong: Wrong, sender: str) -> None:
        kind = _KIND.match(str(wrong)) if wrong.status == 400 else None
        told = (sender, wrong.status, kind[1] if kind else "")
        if wrong.status >= 500 or told in self._told:
            return
        if len(self._told) < MOST_TOLD:
            self._told.add(told)
            log.warning("source=%s refused what %s wrote, which it now drops: %s (%d)",
                        self._name, sender, wrong, wrong.status)  # fmt: skip

    def well(self, sender: str) -> None:
        """Something of this sender was taken whole."""
        self._told = {one for one in self._told if one[0] != sender}

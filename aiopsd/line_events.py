"""Lines that belong together: a stack trace is one event, and not forty.

Pure. A line either begins an event or goes on with the one before. By default these go on: what is
indented, what only ever follows something (``Caused by:``, ``... 12 more``, a closing brace), a
traceback after a line about an error, and Go's goroutines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aiopsd.patterns import Pattern

MOST_LINES: Final = 500  # of an event, and
MOST_CHARS: Final = 64 * 1024  # also; what is longer goes on as another event
_READ_CHARS: Final = 1024  # of a line, to see whether it begins an event

_GOES_ON: Final = re.compile(
    r"\s|\.\.\.\s|Caused by: |Suppressed: |During handling of the above exc"
    r"|The above exception was |[}\])]"
)
_TRACEBACK: Final = "Traceback (most recent call last)"
_THROWN: Final = re.compile(r"(?:[\w$]+\.)*[\w$]*(?:Exception|Error|Throwable|Exit)\b(?::|$)")
_TROUBLE: Final = re.compile(r"err|exception|crit|fatal|fail|panic|traceback|warn", re.IGNORECASE)
_PANIC: Final = re.compile(r"panic: |fatal error: |SIG[A-Z]+: |goroutine \d+ \[")
_GOROUTINE: Final = re.compile(r"goroutine \d+ \[")
_GO: Final = re.compile(r"goroutine \d+ \[|created by |\[signal |exit status ")
_CALL: Final = re.compile(r"[\w./*()\[\]·-]+\(")


def begins(lines: Sequence[str], pattern: Pattern | None = None) -> list[bool]:
    """Which of these begin an event; the first one always does. With ``pattern`` those that it
    matches somewhere do, and no others."""
    event = _Event()
    found = []
    for line in lines:
        head = line[:_READ_CHARS]
        anew = not (event.lines and event.takes(line))
        if not anew:
            anew = pattern.found(head) if pattern else not event.goes_on(head)
        if anew:
            event = _Event()
        event.add(head, len(line))
        found.append(anew)
    return found


def is_trouble(head: str) -> bool:
    """A line that may be followed by what was raised."""
    return _TROUBLE.search(head) is not None


class _Event:
    """What its lines so far let expect of the next."""

    def __init__(self) -> None:
        self.lines = self._chars = 0
        self._first = ""
        self._traceback = self._go = self._thrown = False

    def takes(self, line: str) -> bool:
        return self.lines < MOST_LINES and self._chars + len(line) < MOST_CHARS

    def goes_on(self, head: str) -> bool:
        if not head or _GOES_ON.match(head):
            return True
        if head.startswith(_TRACEBACK):
            return is_trouble(self._first)
        if _THROWN.match(head) and not self._traceback:
            return is_trouble(self._first) and not self._thrown
        return self._traceback or (self._in_go() and _is_go(head))

    def add(self, head: str, chars: int) -> None:
        if not self.lines:
            self._first = head
        else:
            self._go = self._go or _GOROUTINE.match(head) is not None
        if head.startswith(_TRACEBACK):
            self._traceback = True  # until the line that says what was raised
        elif head and not head[0].isspace():
            self._traceback = False
        self._thrown = self._thrown or _THROWN.match(head) is not None  # another is another event
        self.lines, self._chars = self.lines + 1, self._chars + chars + 1

    def _in_go(self) -> bool:
        return self._go or _PANIC.match(self._first) is not None


def _is_go(head: str) -> bool:
    called = head.endswith(")") and _CALL.match(head) is not None
    return called or _GO.match(head) is not None

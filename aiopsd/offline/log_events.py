"""Events of a log: a stack trace goes with the line before it; every other line is an event.

What is merely indented stands for itself here, as there are logs whose lines are indented as it
comes: a trace is told by its frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from aiopsd.line_events import MOST_LINES, begins, is_trouble

READ_BYTES: Final = 1024
LOOK_LINES: Final = 20  # of a batch, in which what goes on from the one before shows its frames
MOST_WEAK: Final = 10  # lines between two frames that are merely indented

_FRAMES: Final = (
    r"at (?:async |new )?[^\s()]{1,200}(?: \[as \w+\])? ?\("  # Java, JavaScript, C#
    r"|at (?:async )?\S{0,200}[/.]\S{0,200}:\d+:\d+"
    r'|File "[^"]+", line \d'
    r"|\.\.\. \d+ (?:more|common frames omitted)"
    r"|\S+\.go:\d+"
    r"|from \S+:\d+:in "  # Ruby
    r"|\d+: .*::"  # Rust
)
_FRAME: Final = re.compile(rf"[ \t]+(?:{_FRAMES})")
_ANY_FRAME: Final = re.compile(rf"^[ \t]+(?:{_FRAMES})".encode(), re.MULTILINE)


class Events(NamedTuple):
    """``lines``: how many each of them is."""

    texts: list[bytes]
    lines: list[int]


def events(batches: Iterable[list[bytes]]) -> Iterator[Events]:
    """What goes on in the next batch is of this one."""
    held: list[bytes] = []
    for batch in batches:
        more = _going_on(held, batch)
        held += batch[:more]
        if more < len(batch):
            if held:
                yield _joined(held)
            held = batch[more:]
    if held:
        yield _joined(held)


def portions(whole: Iterable[Events], most: int) -> Iterator[Events]:
    """At most so many events at once."""
    for texts, lines in whole:
        for at in range(0, len(texts), most):
            yield Events(texts[at : at + most], lines[at : at + most])


def _joined(lines: list[bytes]) -> Events:
    if not _has_frames(lines):
        return Events(lines, [1] * len(lines))
    first = [at for at, anew in enumerate(_begins(lines)) if anew]
    ends = [*first[1:], len(lines)]
    texts = [b"\n".join(lines[a:b]) for a, b in zip(first, ends, strict=True)]
    return Events(texts, [b - a for a, b in zip(first, ends, strict=True)])


def _going_on(before: Sequence[bytes], batch: Sequence[bytes]) -> int:
    """How many of the first lines of a batch belong to the last event before it."""
    if not before or not _has_frames(batch[:LOOK_LINES]):
        return 0
    tail = before[-MOST_LINES:]
    first = _begins([*tail, *batch[:MOST_LINES]])[len(tail) :]
    return first.index(True) if True in first else len(first)


def _has_frames(lines: Sequence[bytes]) -> bool:
    text = b"\n".join(lines)
    indented = text[:1] in b" \t" or b"\n " in text or b"\n\t" in text
    return indented and _ANY_FRAME.search(text) is not None


def _begins(lines: Sequence[bytes]) -> list[bool]:
    heads = [line[:READ_BYTES].decode(errors="replace") for line in lines]
    found = [True] * len(heads)
    together = [at for at, anew in enumerate(begins(heads)) if anew]
    for first, end in zip(together, [*together[1:], len(heads)], strict=True):
        for a, b in _traces(heads[first:end]):
            found[first + a + 1 : first + b] = [False] * (b - a - 1)
    return found


def _traces(heads: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Of lines that may belong together: where a trace, with the line that it explains, begins and
    ends."""
    end = 0
    for at, head in enumerate(heads):
        if at > end and _FRAME.match(head):
            first = _first(heads, at, end)
            end = _end(heads, at)
            yield first, end


def _first(heads: Sequence[str], frame: int, least: int) -> int:
    """Back from a frame: over what only ever follows something, and over the further lines of a
    message that speaks of trouble."""
    at = frame - 1
    while at > least:
        if _is_weak(heads[at]):
            said = next((n for n in range(at, least - 1, -1) if not _is_weak(heads[n])), least)
            if said == 0 and not is_trouble(heads[0]):
                return at
            at = said
        else:
            at -= 1
    return at


def _end(heads: Sequence[str], frame: int) -> int:
    end = frame + 1
    for at in range(end, len(heads)):
        if _FRAME.match(heads[at]) or (heads[at] and not _is_weak(heads[at])):
            end = at + 1
        elif at - end >= MOST_WEAK:
            break
    return end


def _is_weak(head: str) -> bool:
    """Nothing but its indentation says that it belongs to something."""
    return head[:1].isspace()

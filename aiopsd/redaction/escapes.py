r"""What JSON and quoted texts write as ``\n`` or ``\u003c``, read as what it stands for.

A number, or a name, ends there; as it is written, the letter behind the backslash would be part of
it, and ``\n4111111111111111`` no card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from aiopsd.redaction.detector import Span

_ESCAPE: Final = re.compile(r"\\{1,4}+(?:(?P<SPACE>[nrt])|u00(?P<CODE>2[267]|3[CEce]))")
"""Of signs those that encoders write so within HTML: quotes, ``&``, ``<`` and ``>``."""


def readable(text: str) -> str:
    """As long as the text, so that places in it are places in the text."""
    return _ESCAPE.sub(_read, text) if "\\" in text else text


def _read(found: re.Match[str]) -> str:
    char = " " if found["SPACE"] else chr(int(found["CODE"], 16))
    return char * len(found[0])


def uncut(text: str, spans: Iterable[Span]) -> list[Span]:
    """None begins or ends within an escape: what stays can still be read."""
    bounds = [found.span() for found in _ESCAPE.finditer(text)]
    inside = {place: one for one in bounds for place in range(one[0] + 1, one[1])}
    whole = [
        span._replace(
            start=inside.get(span.start, (0, span.start))[1],
            end=inside.get(span.end, (span.end, 0))[0],
        )
        for span in spans
    ]
    return [span for span in whole if span.start < span.end]

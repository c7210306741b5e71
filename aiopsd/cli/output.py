"""Standard output as it may be: closed, full, read by somebody who has gone, or without letters."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

UNHEARD: Final = 141  # 128 + SIGPIPE
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
AGAIN: Final = "\n" + 12 * " "  # deeper than any line of ours begins


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What the encoding lacks as \\uXXXX: people can read that, and JSON means the same by it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


codecs.register_error("aiopsd.escaped", _escaped)


def shown(lines: Iterable[str]) -> str:
    """For people on a terminal: what labels, lines and files hold can neither steer it nor look
    like a line of its own."""
    return "\n".join(AGAIN.join(map(_tame, line.splitlines())) for line in lines)


def _tame(text: str) -> str:
    text = text.expandtabs(4)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextmanager
def escaping() -> Iterator[None]:
    """Within this, no character is one that cannot be printed."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):  # closed, or a test's own
        yield
        return
    before = stream.errors
    stream.reconfigure(errors="aiopsd.escaped")
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            stream.reconfigure(errors=before)


def flush() -> None:
    """Raises OSError while somebody can still say so."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up() -> None:
    """What waits to be written goes nowhere: the interpreter would try again, and complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)

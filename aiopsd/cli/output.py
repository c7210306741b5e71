"""Standard output as it may be: closed, full, read by somebody who has gone, or without letters."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

UNHEARD: Final = 141  # 128 + SIGPIPE
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What the encoding lacks as \\uXXXX: people can read that, and JSON means the same by it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end


codecs.register_error("aiopsd.escaped", _escaped)


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

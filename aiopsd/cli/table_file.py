"""The table that a command writes, plain or gzipped, to a file or to standard output."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


def same(read: str, written: str) -> bool:
    """Is what would be written the file that is read? ``-`` is no file."""
    try:
        return read != "-" and written != "-" and Path(read).samefile(written)
    except OSError:  # what is not there yet is another one
        return False


@contextmanager
def opened(name: str | None) -> Iterator[TextIO | None]:
    """At once: that it cannot be written is told before any work. None where there is no name.
    Raises Refused."""
    from aiopsd.errors import Refused

    if name is None or name == "-":
        yield sys.stdout if name else None
        return
    open_: Any = gzip.open if name.endswith(".gz") else Path.open
    try:
        file = open_(Path(name), "wt", encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(f"cannot write {name}: {error.strerror}") from None
    try:
        with file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Refused(f"cannot write {name}: {error.strerror}") from None

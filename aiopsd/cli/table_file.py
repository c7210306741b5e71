"""The table that a command writes, plain or gzipped, to a file or to standard output.

A file is whole or not there: it is written beside the one that it will replace, which stays as it
was when the work fails or is interrupted. What is no regular file, such as a pipe, is written as it
comes.
"""

from __future__ import annotations

import errno
import gzip
import io
import os
import re
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO, Final, TextIO, cast

from aiopsd.cli.output import shown

_DESCRIPTORS: Final = re.compile(r"/proc/\d+/(?:task/\d+/)?fd")
_SHUT: Final = (errno.EACCES, errno.EPERM, errno.EROFS)  # a folder that takes no new file


def same(read: str, written: str | None) -> bool:
    """Is what would be written the file that is read, by whatever name or redirection? ``-`` is
    standard input, or output; None stands for output as well."""
    try:
        one = os.fstat(0) if read == "-" else Path(read).stat()
        other = os.fstat(1) if written in (None, "-") else Path(str(written)).stat()
    except OSError:  # what is not there yet is another one
        return False
    is_kept = stat.S_ISREG(one.st_mode) or stat.S_ISBLK(one.st_mode)  # no terminal, no pipe
    return is_kept and os.path.samestat(one, other)


def is_read(written: str | None) -> str:
    what = "standard output goes to the file that" if written in (None, "-") else written
    return f"{what} is read: another name must be written"


@contextmanager
def opened(name: str | None) -> Iterator[TextIO | None]:
    """At once: that it cannot be written is told before any work. None where there is no name.
    Raises Refused."""
    if name is None:
        yield None
    elif name == "-" or _is_standard_output(name):
        with _told(name):
            yield _standard_output()
            sys.stdout.flush()
    else:
        with _told(name), _ended(), _bytes(Path(name)) as file, _text(file, name) as text:
            yield text


@contextmanager
def _told(name: str) -> Iterator[None]:
    from aiopsd.errors import Refused

    try:
        yield
    except BrokenPipeError:  # who reads us has enough
        raise
    except OSError as error:
        raise Refused(f"cannot write {name}: {error.strerror}") from None


# --- standard output --------------------------------------------------------------------


def _is_standard_output(name: str) -> bool:
    """``/dev/stdout``, or where that was redirected to."""
    try:
        return os.path.samestat(Path(name).stat(), os.fstat(1))
    except OSError:
        return False


def _standard_output() -> TextIO:
    from aiopsd.errors import Refused

    if sys.stdout is None:  # who started us closed it
        raise Refused("standard output is closed")
    return cast("TextIO", _Screen(sys.stdout)) if sys.stdout.isatty() else sys.stdout


class _Screen:
    """A terminal: lines hold the words of strangers, and none of them steers it. Programs get what
    there is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.flush = stream.flush

    def write(self, row: str) -> int:
        return self._stream.write(shown([row]) + "\n")


# --- files ------------------------------------------------------------------------------


@contextmanager
def _text(file: BinaryIO, name: str) -> Iterator[TextIO]:
    packs = name.endswith(".gz")
    inner: Any = gzip.GzipFile(filename="", fileobj=file, mode="wb") if packs else file
    text = io.TextIOWrapper(inner, encoding="utf-8", newline="")
    screen = not packs and file.isatty()
    yield cast("TextIO", _Screen(text)) if screen else text
    text.detach()  # what it holds is written
    if packs:
        inner.close()
    file.flush()


@contextmanager
def _bytes(path: Path) -> Iterator[BinaryIO]:
    descriptor = _descriptor(path)
    if descriptor is not None:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            yield file
        return
    target = path.resolve()  # a link stays one
    try:
        old = target.stat()
    except FileNotFoundError:
        old = None
    if old is None or stat.S_ISREG(old.st_mode):
        with _replacing(target, old) as file:
            yield file
    else:
        with target.open("wb") as file:
            yield file


def _descriptor(path: Path) -> int | None:
    """Of ``/dev/fd/3``: to open its file again would begin in the midst of what others wrote."""
    for one in (path, path.parent / path.readlink() if path.is_symlink() else path):
        if one.name.isdecimal() and _DESCRIPTORS.fullmatch(os.path.realpath(one.parent)):
            return int(one.name)
    return None


@contextmanager
def _replacing(target: Path, old: os.stat_result | None) -> Iterator[BinaryIO]:
    """In its place once all is written, with the mode and owner of the one before."""
    draft, descriptor = _draft(target, old)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(descriptor)
        try:
            draft.replace(target)
        except OSError:  # such as a file that is mounted there
            if old is None:
                raise
            with draft.open("rb") as found, target.open("wb") as file:
                shutil.copyfileobj(found, file)
    finally:
        draft.unlink(missing_ok=True)


def _draft(target: Path, old: os.stat_result | None) -> tuple[Path, int]:
    flags, name = os.O_WRONLY | os.O_CREAT | os.O_EXCL, f".aiopsd-{os.urandom(8).hex()}.part"
    if old is None:
        draft = target.with_name(name)
        return draft, os.open(draft, flags, 0o666)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        draft = target.with_name(name)
        descriptor = os.open(draft, flags, 0o600)
    except OSError as error:
        if error.errno not in _SHUT:
            raise
        draft = Path(tempfile.gettempdir(), name)  # to be copied
        return draft, os.open(draft, flags, 0o600)
    with suppress(PermissionError):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    return draft, descriptor


@contextmanager
def _ended() -> Iterator[None]:
    """Who is told to end clears away what he began."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        numbers = (signal.SIGTERM, signal.SIGHUP)
        default = [one for one in numbers if signal.getsignal(one) is signal.SIG_DFL]
        before = {one: signal.signal(one, _end) for one in default}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)

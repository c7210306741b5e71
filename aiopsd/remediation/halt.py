"""The kill switch: a file that people, scripts and the daemon can write and read.

``touch <state>/HALT`` is enough to stop everything; ``aiopsd halt`` writes who and why.
``/run/aiopsd/HALT`` is honoured too (a reboot clears it).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from aiopsd.model import Halt

VOLATILE = Path("/run/aiopsd/HALT")


class HaltFile:
    """Reads are cheap (one stat a file), so that every side effect can ask first."""

    def __init__(
        self, state: Path, volatile: Path = VOLATILE, clean: Callable[[str], str] = str
    ) -> None:
        """``clean``: what of a reason may be repeated."""
        self._clean = clean
        self.path = state / "HALT"
        self._files = (self.path, volatile)
        self._seen: dict[Path, tuple[int, dict[str, Halt]]] = {}

    def reason(self, target: str) -> str:
        """Why nothing may be done to this target; empty when it may."""
        for halts in map(self._read, self._files):
            halt = halts.get("*") or halts.get(target)
            if halt is not None:
                return f"halted by {halt.by}" + (f": {halt.reason}" if halt.reason else "")
        return ""

    def halts(self) -> list[Halt]:
        return [halt for file in self._files for halt in self._read(file).values()]

    def halt(self, target: str, *, by: str, reason: str, now_s: float) -> None:
        halts = self._read(self.path)
        halts = halts | {target: Halt(id=target, on=True, by=by, reason=reason, time_s=now_s)}
        try:
            self._write(halts)
        except OSError:  # a full disk still takes an empty file, and that halts everything
            self.path.write_bytes(b"")

    def resume(self, target: str) -> bool:
        """Lifts one halt (all of them for ``*``); False when there was none."""
        halts = self._read(self.path)
        left = {} if target == "*" else {k: v for k, v in halts.items() if k != target}
        if left == halts:
            return False
        if left:
            self._write(left)
        else:
            self.path.unlink(missing_ok=True)
        return True

    def _read(self, file: Path) -> dict[str, Halt]:
        try:
            stamp = file.stat().st_mtime_ns
            known = self._seen.get(file)
            if known is None or known[0] != stamp:
                halts = _parse(file.read_bytes(), stamp / 1e9)
                self._seen[file] = known = stamp, {k: self._told(h) for k, h in halts.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:  # there, but unreadable: the safe reading is "halted"
            return _everything(f"{file}: {error.strerror}", 0.0)
        return known[1]

    def _told(self, halt: Halt) -> Halt:
        return replace(halt, by=self._clean(halt.by), reason=self._clean(halt.reason))

    def _write(self, halts: dict[str, Halt]) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(list(halts.values())))
            _give_to_owner(file.fileno(), self.path.parent)
        os.replace(draft, self.path)  # noqa: PTH105 - the atomic one


def _give_to_owner(file: int, folder: Path) -> None:
    """The daemon must read what another user halts; what it cannot read halts everything."""
    owner = folder.stat()
    if owner.st_uid != os.geteuid():
        try:
            os.fchown(file, owner.st_uid, owner.st_gid)
        except PermissionError:  # only root may
            os.fchmod(file, 0o644)


def _parse(text: bytes, time_s: float) -> dict[str, Halt]:
    """What does not parse halts everything: somebody meant to stop us."""
    try:
        halts = msgspec.json.decode(text, type=list[Halt])
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _everything(text.decode(errors="replace").strip()[:200], time_s)
    return {halt.id: halt for halt in halts} or _everything("", time_s)


def _everything(reason: str, time_s: float) -> dict[str, Halt]:
    return {"*": Halt(id="*", on=True, by="the HALT file", reason=reason, time_s=time_s)}

"""A key in a file: made once, read by nobody else, replaced after its time."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import msgspec

from aiopsd.errors import ConfigError

KEY_BYTES = 32


class Key(msgspec.Struct, frozen=True):
    since_s: float
    hex: str


class KeyRing:
    """``rotate_secs``: how long a key is used; None: for ever. Those before stay in the file for
    ``keep_secs`` more, so that what was written by them can still be found."""

    def __init__(self, path: Path, rotate_secs: float | None, keep_secs: float) -> None:
        self._path, self._rotate_secs, self._keep_secs = path, rotate_secs, keep_secs

    def key(self, now_s: float) -> bytes:
        """The one to use now. Raises ConfigError where the file cannot be had."""
        keys = self._read()
        if not keys or self._worn(keys[-1], now_s):
            after = [one.since_s for one in keys[1:]] + [now_s]
            kept = [k for k, end_s in zip(keys, after, strict=False)
                    if now_s - end_s < self._keep_secs]  # fmt: skip
            try:
                self._write([*kept, Key(now_s, secrets.token_hex(KEY_BYTES))])
            except ConfigError:  # a full disk: the old one will do until there is room
                if not keys:
                    raise
            else:
                keys = self._read()
        return bytes.fromhex(keys[-1].hex)

    def _worn(self, key: Key, now_s: float) -> bool:
        return self._rotate_secs is not None and now_s - key.since_s >= self._rotate_secs

    def _read(self) -> list[Key]:
        try:
            keys = msgspec.json.decode(self._path.read_bytes(), type=list[Key])
            if any(len(bytes.fromhex(one.hex)) != KEY_BYTES for one in keys):
                raise ValueError("not 32 bytes")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}") from None
        except ValueError:
            raise ConfigError(
                f"{self._path} is damaged: restore it, or delete it (what was made with it is "
                "then not known again)"
            ) from None
        return keys

    def _write(self, keys: list[Key]) -> None:
        """As a whole or not at all; nobody else may read it, not for a moment."""
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(msgspec.json.encode(keys))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}") from None

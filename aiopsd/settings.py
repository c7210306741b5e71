"""What people write, as frozen structs; and the one reader that turns YAML into them.

A part's settings struct (``type: foo`` in YAML) is its factory. The reader follows the type
annotations and goes on after a fault: ``check`` shows every wrong entry at once.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from aiopsd.document import Document, Path_
from aiopsd.errors import ConfigError

T = TypeVar("T")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_LONGEST_SECS = 100 * 365.25 * 86400
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that people write; unknown keys are errors."""

    def extra(self) -> str:
        """The extra without which this cannot be built or used (``EXTRAS``); empty: none."""
        return ""


EXTRAS = {
    "history": ("prometheus_api_client", "statsmodels"),
    "mqtt": ("aiomqtt",),
    "river": ("river",),
    "slack": ("slack_sdk",),
    "systemd": ("dbus_fast",),
}
"""What each extra brings; pyproject.toml says which versions."""


def installed(extra: str) -> bool:
    """Looks only: nobody pays for an import."""
    return all(find_spec(library) is not None for library in EXTRAS.get(extra, ()))


class Wrongs(ValueError):
    """Several faults of one entry, each in a sentence."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        super().__init__("; ".join(self.texts))


def complain(texts: Iterable[str]) -> None:
    """Raises Wrongs where there are any: all wrong entries of a list are named at once."""
    wrong = Wrongs(texts)
    if wrong.texts:
        raise wrong


class Duration(float):
    """Seconds; written ``90s``, ``15m``, ``1h30m``."""

    @classmethod
    def parse(cls, text: object) -> Duration:
        if not isinstance(text, str) or not _DURATION.fullmatch(text):
            meant = f"; did you mean {text}s?" if isinstance(text, (int, float)) else ""
            raise ValueError(f"not a duration: {text!r}; write 90s, 15m, 1h30m{meant}")
        secs = sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(text))
        if secs > _LONGEST_SECS:
            raise ValueError("a duration of more than a hundred years")
        return cls(secs)

    def __str__(self) -> str:
        left, words = round(float(self), 3), []
        for unit in ("d", "h", "m"):
            whole, left = divmod(left, _UNITS[unit])
            words += [f"{whole:.0f}{unit}"] if whole else []
        return "".join(words + ([f"{left:g}s"] if left or not words else []))


class Address(str):
    """Where to listen: ``host:port``, an IPv6 address in brackets."""

    @classmethod
    def parse(cls, text: object) -> Address:
        host, _, port = str(text).rpartition(":")
        if not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"{_shown(text)} is not host:port, such as 127.0.0.1:9797")
        if not host:
            raise ValueError(f"{_shown(text)} is a port; on which address? 127.0.0.1:{port} is "
                             f"heard by this host alone, 0.0.0.0:{port} by all")  # fmt: skip
        return cls(text)

    @property
    def parts(self) -> tuple[str, int]:
        host, _, port = self.rpartition(":")
        return host.strip("[]"), int(port)


class Expression(str):
    """A CEL condition or value; its own room compiles it."""


class SecretFile(str):
    """Where a secret stands; never the secret. A bare name is a systemd credential first."""

    def read(self, base: Path = Path()) -> str:
        """The secret, stripped. Raises ConfigError that names the file, not its content."""
        if "\0" in self:
            raise ConfigError(f"no secret file can be called {str(self)!r}")
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        places = [Path(credentials) / self] if credentials and "/" not in self else []
        places.append(base / self)
        for place in places:
            try:
                secret = place.read_text(encoding="utf-8").strip()
            except FileNotFoundError:
                continue
            except UnicodeDecodeError:
                raise ConfigError(f"secret file {place} is not UTF-8 text") from None
            except OSError as error:
                raise ConfigError(f"secret file {place}: {error.strerror}") from None
            if not secret:
                raise ConfigError(f"secret file {place} is empty")
            return secret
        hint = "" if credentials or "/" in self else " (the service alone sees its credentials)"
        looked = " and ".join(map(str, places))
        raise ConfigError(f"no secret file {str(self)!r}: looked at {looked}{hint}")


Check = Callable[[Any], Iterable[tuple[Path_, str]]]


@dataclass
class Reader:
    """Reads one document by types; what is wrong goes to the document's problems."""

    document: Document

    def read(self, wanted: Any, value: Any, path: Path_ = ()) -> Any:
        """The value as the wanted type, or None after a complaint."""
        origin = get_origin(wanted)
        if origin in (Union, types.UnionType):
            return self._union(wanted, value, path)
        if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
            return self._struct(wanted, value, path)
        if origin in (list, tuple) and isinstance(value, list):
            item = (get_args(wanted) or (Any,))[0]
            return origin(self.read(item, v, (*path, i)) for i, v in enumerate(value))
        if origin is dict and isinstance(value, dict):
            item = get_args(wanted)[1]
            return {k: self.read(item, v, (*path, k)) for k, v in value.items()}
        return self._plain(wanted, value, path)

    def _union(self, wanted: Any, value: Any, path: Path_) -> Any:
        options = [o for o in get_args(wanted) if o is not types.NoneType]
        if value is None and types.NoneType in get_args(wanted):
            return None
        if all(isinstance(o, type) and issubclass(o, msgspec.Struct) for o in options) and (
            len(options) > 1
        ):
            return self._tagged(options, value, path)
        for option in options[:-1]:
            if _fits(option, value):
                return self.read(option, value, path)
        return self.read(options[-1], value, path)

    def _tagged(self, options: list[Any], value: Any, path: Path_) -> Any:
        by_tag = {str(o.__struct_config__.tag): o for o in options}
        if not isinstance(value, dict):
            return self._wrong(path, f"expected a mapping with type: {_either(by_tag)}", value)
        tag = value.get("type")
        if not isinstance(tag, str) or tag not in by_tag:
            where = (*path, "type", "=") if "type" in value else path
            what = "`type` is missing" if tag is None else f"unknown type {_shown(tag)}"
            return self._wrong(where, f"{what}; {_meant(str(tag), by_tag)}")
        return self._struct(by_tag[tag], value, path)

    def _struct(self, wanted: Any, value: Any, path: Path_) -> Any:
        if not isinstance(value, dict):
            return self._wrong(path, f"expected a mapping ({_keys(wanted)})", value)
        config = wanted.__struct_config__
        hints = typing.get_type_hints(wanted, include_extras=True)
        fields = {f.encode_name: f for f in msgspec.structs.fields(wanted)}
        known, before = {}, len(self.document.problems)
        for key, entry in value.items():
            if key == config.tag_field and config.tag is not None:
                continue
            if key not in fields:
                self._wrong((*path, key), f"unknown key {key!r}; {_meant(key, fields)}")
            else:
                known[fields[key].name] = self.read(hints[fields[key].name], entry, (*path, key))
        for name, one in fields.items():
            if one.required and name not in value:
                self._wrong(path, f"`{name}` is missing")
        if len(self.document.problems) > before:
            return None
        try:
            return wanted(**known)
        except ValueError as error:  # a struct's __post_init__ knows more than its types
            for text in error.texts if isinstance(error, Wrongs) else (str(error),):
                self._wrong(path, text)
            return None

    def _plain(self, wanted: Any, value: Any, path: Path_) -> Any:
        try:
            if wanted is Duration:
                return Duration.parse(value)
            if wanted is Address:
                return Address.parse(value)
            if wanted in (Expression, SecretFile):
                if not isinstance(value, str) or not value.strip():
                    raise ValueError(f"expected text, got {_shown(value)}")
                return wanted(value)
            found = msgspec.convert(value, wanted, strict=True)
            if isinstance(found, float) and not math.isfinite(found):
                raise ValueError(f"expected a number with an end, got {found:g}")
            return found
        except (ValueError, msgspec.ValidationError) as error:
            return self._wrong((*path, "="), _plain_text(str(error), wanted, value))

    def _wrong(self, path: Path_, text: str, value: Any = ...) -> None:
        shown = "" if value is ... else f", got {_shown(value)}"
        self.document.complain(path, text + shown)


def _fits(option: Any, value: Any) -> bool:
    if isinstance(option, type) and issubclass(option, msgspec.Struct):
        return isinstance(value, dict)
    origin = get_origin(option) or option
    if origin is Literal:
        return value in get_args(option)
    if origin is Duration:
        return isinstance(value, str) and bool(_DURATION.fullmatch(value))
    return isinstance(origin, type) and isinstance(value, origin)


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "array": "a list",
    "object": "a mapping",
}
"""msgspec's words for types, and people's."""


def _plain_text(text: str, wanted: Any, value: Any) -> str:
    """msgspec's words, with what was meant."""
    if get_origin(wanted) is Literal:
        return f"{_shown(value)} is not allowed; {_meant(str(value), map(str, get_args(wanted)))}"
    expected = re.match(r"Expected `(\w+)", text)
    if expected:
        return f"expected {_KINDS.get(expected[1], expected[1])}, got {_shown(value)}"
    return text


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = "nothing" if value is None else repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def _meant(word: str, options: Iterable[str]) -> str:
    known = sorted(filter(None, options))
    close = difflib.get_close_matches(word, known, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {_either(known)}"


def _either(options: Iterable[str]) -> str:
    return ", ".join(sorted(options))


def _keys(wanted: Any) -> str:
    return ", ".join(f.encode_name for f in msgspec.structs.fields(wanted))

"""What people write of redaction, and the redactor that it makes (docs/redaction.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from aiopsd.errors import ConfigError
from aiopsd.patterns import line_pattern
from aiopsd.redaction import ADDRESSES, BUILT_IN, Action, Names, Redactor
from aiopsd.redaction.detector import PLACEHOLDER, Detector, Span
from aiopsd.redaction.redactor import Count
from aiopsd.redaction.secret_names import SECRET_KEY
from aiopsd.settings import Duration, SecretFile, Settings, complain

KINDS = tuple(dict.fromkeys(one.kind for one in (*BUILT_IN, *ADDRESSES)))
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class RedactionPatternSettings(Settings, frozen=True, kw_only=True):
    """What else must not be kept."""

    name: str
    pattern: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"`name: {self.name}` must be of small letters, digits and -")
        try:
            line_pattern(self.pattern)
        except ValueError as error:
            raise ValueError(f"`pattern: {self.pattern}`: {error}") from None

    def detector(self) -> Detector:
        pattern = line_pattern(self.pattern)

        def find(text: str, _: int) -> Iterator[Span]:
            for begin, end in pattern.spans(text):
                value = text[begin:end]
                if not PLACEHOLDER.fullmatch(value):
                    yield Span(begin, end, self.name, value)

        return Detector(self.name, (), find, whole=True, among=pattern.among)


class RedactionSettings(Settings, frozen=True, kw_only=True):
    """What is taken out of everything that comes from outside."""

    kinds: dict[str, Literal["mask", "pseudonym", "off"]] = {}
    patterns: tuple[RedactionPatternSettings, ...] = ()
    keep: tuple[str, ...] = ()
    keep_labels: tuple[str, ...] = ()
    rotate: Duration | None = Duration(30 * 86400)

    def __post_init__(self) -> None:
        known = ", ".join(self.known)
        unknown = [kind for kind in self.kinds if kind not in self.known]
        odd = [text for text in self.keep if "*" in text[1:-1] or not text.strip("*")]
        complain(
            [f"`kinds`: no kind {kind!r}; known: {known}" for kind in unknown]
            + [f"`keep: {text}`: one * at its beginning or its end" for text in odd]
        )
        if self.rotate is not None and self.rotate < 3600:
            raise ValueError(f"`rotate: {self.rotate}` is too short to correlate; at least 1h")

    @property
    def known(self) -> list[str]:
        """Every kind there is."""
        return sorted({*KINDS, *(one.name for one in self.patterns)})

    def redactor(self, key: bytes, secrets: Iterable[str], count: Count) -> Redactor:
        actions: dict[str, Action] = {"ip": "off", **self.kinds}
        detectors = [*BUILT_IN, *(one.detector() for one in self.patterns)]
        detectors += ADDRESSES if actions["ip"] != "off" else ()
        return Redactor(
            Names(key, actions), detectors, secrets, self._keeps(), self.keep_labels, count
        )

    def _keeps(self) -> Callable[[str], bool]:
        words = {text.lower() for text in self.keep if "*" not in text}
        begins = tuple(t[:-1].lower() for t in self.keep if t.endswith("*"))
        ends = tuple(t[1:].lower() for t in self.keep if t.startswith("*"))

        def keeps(value: str) -> bool:
            value = value.lower()
            return value in words or value.startswith(begins) or value.endswith(ends)

        return keeps


def held_secrets(settings: Any, base: Path) -> Iterator[str]:
    """Values of the secrets that a configuration names or holds; what cannot be read is none."""
    match settings:
        case SecretFile():
            with suppress(ConfigError):
                yield settings.read(base)
        case str() if "://" in settings:
            with suppress(ValueError):  # such as http://[bad/
                yield unquote(urlsplit(settings).password or "")
        case msgspec.Struct():
            for name in settings.__struct_fields__:
                yield from held_secrets(getattr(settings, name), base)
        case dict():
            for key, one in settings.items():
                if isinstance(one, str) and SECRET_KEY.fullmatch(str(key)):
                    yield one.rpartition(" ")[2]  # after Bearer, of a header
                yield from held_secrets(one, base)
        case list() | tuple():
            for one in settings:
                yield from held_secrets(one, base)

"""What a sender's JSON says: found by dotted paths, cut to a length, dated with sense. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

MOST_TEXT: Final = 200  # characters of one field; a title is longer than a name, not than this
_WORD: Final = re.compile(r'"([^"]*)"|([^."]+)')
_OFFSET: Final = re.compile(r"(?<!\s)\s{1,9}([+-]\d{2}:?\d{2})$")
_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # nanoseconds, microseconds, ms
_VERSION: Final = re.compile(r"v?\d+(?:\.\d+)++[\w.+-]*+", re.ASCII)
_MIGRATES: Final = re.compile(r"\bmigrat", re.IGNORECASE)
_MIGRATION: Final = re.compile(
    r"(^|/)(migrations?|db/migrate|alembic/versions|flyway|liquibase)/|(^|/)V\d+__[^/]*\.sql$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Body:
    """Nothing in it can be relied on: what is missing or of another type says nothing."""

    said: Any
    now_s: float

    def at(self, path: str) -> Any:
        """``deployment.creator.login``; ``commits.0.id``; ``labels."app.kubernetes.io/name"``."""
        found = self.said
        for word in words(path):
            if isinstance(found, dict):
                found = found.get(word)
            elif isinstance(found, list) and word.isdecimal() and int(word[:9]) < len(found):
                found = found[int(word)]
            else:
                return None
        return found

    def text(self, *paths: str) -> str:
        """The first that says something, in one line that can be shown."""
        return next((said for path in paths if (said := shown(self.at(path)))), "")

    def time_s(self, *paths: str) -> float:
        """The first that is a time; now where none is, or it has not come yet."""
        times = (seconds(self.at(path)) for path in paths)
        return min(next((one for one in times if one > 0), self.now_s), self.now_s)

    def is_true(self, path: str) -> bool:
        return self.text(path).lower() in ("true", "yes", "1", "on")

    def paths(self, *keys: str) -> Iterator[str]:
        """Names of files that commits touched, below these keys."""
        commits = self.at("commits")
        for commit in commits if isinstance(commits, list) else ():
            for key in keys if isinstance(commit, dict) else ():
                files = commit.get(key)
                yield from (
                    (one for one in files or () if isinstance(one, str))
                    if isinstance(files, list)
                    else ()
                )

    @property
    def migrates(self) -> bool:
        """Whether the commits change how data is stored."""
        return any(_MIGRATION.search(path) for path in self.paths("added", "modified"))


def words(path: str) -> Sequence[str]:
    return [quoted or plain for quoted, plain in _WORD.findall(path)]


def shown(value: Any) -> str:
    """Text, numbers and yes or no; no control characters, no directions. Of text the first line,
    of a long one its first words, whole: what is cut may be a secret that nobody knows for one."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return ""
    line = next(iter(str(value).strip().splitlines()), "")
    if len(line) > MOST_TEXT:
        line = line[: MOST_TEXT + 1].rpartition(" ")[0]
    return "".join(c for c in " ".join(line.split()) if c.isprintable())


def seconds(value: Any) -> float:
    """Since the epoch: ISO 8601, as GitLab writes times, or a number of any usual unit; 0.0 where
    it is no time. Without a zone it is UTC."""
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, str) and not value.isdecimal():
        return _read(value[:64])
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    unit = next((unit for least, unit in _UNITS if number >= least), 1.0)
    return number / unit if 0 < number < 1e20 else 0.0


def _read(text: str) -> float:
    text = _OFFSET.sub(r"\1", text.strip().removesuffix(" UTC"))
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def short(commit: str) -> str:
    """As people write commits."""
    return commit[:12]


def version(ref: str, commit: str) -> str:
    """The tag where there is one, else the commit."""
    tag = ref.removeprefix("refs/tags/")
    return tag if _VERSION.fullmatch(tag) else short(commit)


def is_nothing(commit: str) -> bool:
    """A ref that was deleted points to 0000..."""
    return not commit.strip("0")


def speaks_of_migration(*said: str) -> bool:
    return any(_MIGRATES.search(one) for one in said)


def told(**labels: str) -> dict[str, str]:
    """Those that say something."""
    return {name: value for name, value in labels.items() if value}

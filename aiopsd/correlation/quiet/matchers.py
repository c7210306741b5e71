"""Conditions on anomalies, as people write them: ``service=api``, ``rule=~"disk_.*"``.

Pure. As in Alertmanager a regular expression must fit all of a value, and a label that is not there
is an empty one. Of the two that AM's users trip over, neither is possible: an empty list, and
matchers that fit everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, cast

from aiopsd.errors import Refused
from aiopsd.model import Anomaly, Matcher
from aiopsd.patterns import Pattern, label_pattern

MOST = 20  # of one silence
VALUE_CHARS = 500
_FORM: Final = re.compile(r"([A-Za-z_][\w.:/-]{0,199})\s*(=~|!~|!=|=)\s*(.*)", re.ASCII | re.DOTALL)


def parsed(texts: Sequence[str]) -> tuple[Matcher, ...]:
    """Raises Refused, as a sentence, with the matcher that is wrong in it."""
    if not texts:
        raise Refused('it would silence everything: name what, such as "service=api"')
    if len(texts) > MOST:
        raise Refused(f"{len(texts)} matchers; at most {MOST}")
    found = tuple(map(_parsed, texts))
    if all(_fits(one, "") for one in found):
        raise Refused(f"{shown(found)} fits everything that has no such label: add one that names "
                      'what, such as "service=api"')  # fmt: skip
    return found


def _parsed(text: str) -> Matcher:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise Refused(f'{text[:80]!r} is no matcher; write service=api, or rule=~"disk_.*"')
    label, op, value = found.groups()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    if len(value) > VALUE_CHARS:
        raise Refused(f"the value of {label} has {len(value)} characters; at most {VALUE_CHARS}")
    if op.endswith("~"):
        try:
            _pattern(value)
        except ValueError as error:
            raise Refused(f"{text[:80]!r}: {error}") from None
    return Matcher(label=label, op=cast("str", op), value=value)  # type: ignore[arg-type]


@lru_cache(maxsize=1000)
def _pattern(text: str) -> Pattern:
    return label_pattern(text)


def fit(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """All of them. A pattern that does not compile any more, as it was redacted, fits nothing."""
    return all(_fits(one, labels.get(one.label, "")) for one in matchers)


def _fits(one: Matcher, value: str) -> bool:
    if not one.op.endswith("~"):
        return (one.value == value) == (one.op == "=")
    try:
        return _pattern(one.value).fits(value) == (one.op == "=~")
    except ValueError:
        return False


def seen(anomaly: Anomaly) -> dict[str, str]:
    """What matchers can ask about an anomaly; a label of the series never hides one of these."""
    own = {"rule": anomaly.rule, "kind": anomaly.kind, "severity": anomaly.severity}
    service = {"service": anomaly.service} if anomaly.service else {}
    return anomaly.labels | anomaly.entity | service | own


def shown(matchers: Iterable[Matcher]) -> str:
    return ", ".join(f'{one.label}{one.op}"{one.value}"' for one in matchers)

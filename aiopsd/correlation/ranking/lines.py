"""What new error lines say: of their own service, of one they name, or that something failed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from aiopsd.correlation.ranking.scene import Scene
from aiopsd.correlation.ranking.weights import Weights

BAD: Final = re.compile(
    r"\b(error|fatal|critical|exception|panic|refused|timed? ?out|timeout|failed|failure"
    r"|unavailable|denied|killed|crash)",
    re.IGNORECASE,
)
_VAGUE: Final = re.compile(
    r"request (processing )?fail|servlet\.service|upstream|internal server error"
    r"|call(ing)? .* failed|status.?5\d\d|http 5\d\d",
    re.IGNORECASE,
)
_MORE = 2.0  # times as many as expected, and two lines more
_UNSEEN = 1.5  # a line never seen before says more than one seen more often
_SURE_LINES = 4.0  # ln(1 + lines) from which on their number is no accident
_BLAME = 0.5  # what others say of a service is weaker than what it says itself
_PASSED_ON = 0.9  # of a service's lines, where its callee has stronger ones


@dataclass(frozen=True, slots=True)
class Spoken:
    """By number of the service; nats before weights."""

    own: dict[int, float] = field(default_factory=dict)
    blamed: dict[int, float] = field(default_factory=dict)  # others name it
    vague: dict[int, float] = field(default_factory=dict)
    says: dict[int, tuple[str, float, float]] = field(default_factory=dict)  # line, before, since


@dataclass(slots=True)
class _Heard:
    own: dict[int, float] = field(default_factory=dict)
    vague: dict[int, float] = field(default_factory=dict)
    blamed: dict[int, float] = field(default_factory=dict)
    accuses: dict[int, float] = field(default_factory=dict)
    says: dict[int, tuple[str, float, float]] = field(default_factory=dict)


def spoken(scene: Scene, begin: int, weights: Weights) -> Spoken:
    counts, before_secs, since_secs = _counts(scene, begin)
    heard = _Heard()
    names = _names(scene)
    for (service, template), (before, since) in counts.items():
        who = scene.number.get(service)
        nats = _more_than_expected(before, since, since_secs / before_secs, weights)
        if nats <= 0 or not BAD.search(template):
            continue
        named = next((n for n in names.findall(template) if n != service), None)
        if named is not None:
            _keep(heard.blamed, scene.number[named], nats)
        if who is None:
            continue
        if named is not None:
            _keep(heard.accuses, who, nats)
        elif _VAGUE.search(template):
            _keep(heard.vague, who, nats)
        elif nats > heard.own.get(who, 0.0):
            heard.own[who] = nats
            heard.says[who] = template, before, since
    return _weighed(scene, heard, weights)


def _weighed(scene: Scene, heard: _Heard, weights: Weights) -> Spoken:
    own, vague = {}, {}
    for who, nats in heard.own.items():
        below = max((heard.own.get(v, 0.0) for v in scene.callees[who]), default=0.0)
        own[who] = max(0.25 * nats, nats - _PASSED_ON * below)
    for who, nats in heard.vague.items():  # who accuses somebody has said what it meant
        vague[who] = weights.vague_lines * max(0.0, nats - heard.accuses.get(who, 0.0))
    blamed = {who: _BLAME * nats for who, nats in heard.blamed.items()}
    return Spoken(own, blamed, vague, heard.says)


def _more_than_expected(before: float, since: float, ratio: float, weights: Weights) -> float:
    """Excess, trusted more with more lines, most when the line was never seen."""
    expected = before * ratio
    if since <= _MORE * expected + 2 * (expected > 0):
        return 0.0
    nats = math.log((since + 1) / (expected + 1)) * min(1.0, math.log1p(since) / _SURE_LINES)
    return min(weights.lines_cap, nats * (_UNSEEN if before == 0 else 1.0))


def _counts(scene: Scene, begin: int) -> tuple[dict[tuple[str, str], list[float]], float, float]:
    """By service and template: lines before and since; and how long both lasted."""
    lines, times_s = scene.window.lines, scene.window.times_s
    if lines is None:
        return {}, 1.0, 1.0
    start_s = float(times_s[begin]) if begin < len(times_s) else scene.window.detected_s
    since = np.asarray(lines.times_s >= start_s)
    found: dict[tuple[str, str], list[float]] = {}
    rows = zip(lines.services, lines.templates, since.tolist(), lines.counts.tolist(), strict=True)
    for service, template, is_since, count in rows:
        found.setdefault((service, template), [0.0, 0.0])[is_since] += count
    end_s = float(times_s[-1]) + scene.window.step_secs
    secs = lines.covered_secs or (start_s - float(times_s[0]), end_s - start_s)
    return found, max(1.0, secs[0]), max(1.0, secs[1])


def _names(scene: Scene) -> re.Pattern[str]:
    """Any service's name as a word of its own, the longest first."""
    names = sorted((n for n in scene.services if len(n) > 2), key=lambda n: (-len(n), n))
    if not names:
        return re.compile(r"(?!)")
    return re.compile(r"(?<![\w-])(" + "|".join(map(re.escape, names)) + r")(?![\w-])")


def _keep(into: dict[int, float], who: int, nats: float) -> None:
    into[who] = max(into.get(who, 0.0), nats)

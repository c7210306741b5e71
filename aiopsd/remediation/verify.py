"""Did it help? Three answers: yes, no, and cannot be known. Pure: samples come in with time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.schema import Check, Unit, Verify

Word = Literal["waiting", "healed", "no_effect", "made_worse", "inconclusive"]
Answer = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One number as it was asked for; without data ``why`` says so."""

    value: float | None
    why: str = "no data"


@dataclass(frozen=True, slots=True)
class Verdict:
    word: Word
    text: str
    numbers: dict[str, float] = field(default_factory=dict)
    news: bool = False  # says something that the verdict before did not


@dataclass
class Verification:
    """Feed it samples until its verdict is no longer ``waiting``.

    Times are seconds of any one clock; ``began_s`` is when the last step ended. Passes count
    in a row: a failing sample, and one that cannot be judged, begin the count anew.
    """

    spec: Verify
    baseline: Mapping[str, float | None]
    context: Mapping[str, Any]
    began_s: float
    passes: int = 0
    _last: Answer | None = None

    @property
    def next_s(self) -> float:
        """When the first sample is due; after that, every ``every``."""
        return self.began_s + self.spec.after

    @property
    def ends_s(self) -> float:
        return self.began_s + self.spec.within

    def feed(self, now_s: float, samples: Mapping[str, Sample]) -> Verdict:
        """Samples by the name of their check."""
        worse = self.worse(samples)
        if worse is not None:
            return worse
        answers = {check.name: self._answer(check, samples) for check in self.spec.every_check}
        answer = _together(answers.values())
        self.passes = self.passes + 1 if answer == "pass" else 0
        news, self._last = answer != self._last or answer == "pass", answer
        said, numbers = self._said(answers, samples), self._numbers(samples)
        wanted = self.spec.passes
        if self.passes >= wanted:
            return Verdict("healed", f"pass {wanted} of {wanted}: {said}", numbers, news=True)
        if now_s + self.spec.every > self.ends_s + 1e-9:
            return self._final(answer, said, numbers)
        step = f"pass {self.passes} of {wanted}: " if answer == "pass" else ""
        return Verdict("waiting", step + said, numbers, news)

    def describe(self, samples: Mapping[str, Sample]) -> str:
        """Every number beside what it was before."""
        return ", ".join(self._one(check, samples) for check in self.spec.every_check)

    def worse(self, samples: Mapping[str, Sample]) -> Verdict | None:
        """Whether something that must not worsen has; also asked between steps."""
        for check in self.spec.must_not_worsen:
            if self._answer(check, samples) == "fail":
                said = self._one(check, samples)
                return Verdict("made_worse", f"worse: {said}, wanted {check.expect}",
                               self._numbers(samples), news=True)  # fmt: skip
        return None

    def _final(self, answer: Answer, said: str, numbers: dict[str, float]) -> Verdict:
        within = f"within {self.spec.within}"
        if answer == "fail":
            return Verdict("no_effect", f"not {within}: {said}", numbers, news=True)
        if answer == "pass":
            count = f"only {self.passes} of {self.spec.passes} passes"
            return Verdict("inconclusive", f"{count} {within}: {said}", numbers, news=True)
        return Verdict("inconclusive", f"cannot be known {within}: {said}", numbers, news=True)

    def _answer(self, check: Check, samples: Mapping[str, Sample]) -> Answer:
        value = samples[check.name].value
        if value is not None and math.isfinite(value):
            seen = self._seen(check, value)
            if seen is not None:
                try:
                    return "pass" if expressions.true(check.expect, seen) else "fail"
                except ExpressionError:
                    return "unknown"
        return {"pass": "pass", "fail": "fail"}.get(check.no_data, "unknown")  # type: ignore[return-value]

    def _seen(self, check: Check, value: float) -> dict[str, Any] | None:
        """None when it is compared with a baseline that had no data."""
        seen = {**self.context, "value": float(value)}
        if "baseline" in expressions.compiled(check.expect).roots:
            before = self.baseline.get(check.name)
            if before is None or not math.isfinite(before):
                return None
            seen["baseline"] = float(before)
        return seen

    # --- in words -----------------------------------------------------------------------

    def _said(self, answers: Mapping[str, Answer], samples: Mapping[str, Sample]) -> str:
        """All numbers; what is in the way comes first."""
        order = {"fail": 0, "unknown": 1, "pass": 2}
        checks = sorted(self.spec.every_check, key=lambda c: order[answers[c.name]])
        return ", ".join(
            self._one(c, samples) + (f" (wanted {c.expect})" if answers[c.name] == "fail" else "")
            for c in checks
        )

    def _one(self, check: Check, samples: Mapping[str, Sample]) -> str:
        sample, before = samples[check.name], self.baseline.get(check.name)
        if sample.value is None:
            return f"{check.name}: {sample.why}"
        now = amount(sample.value, check.unit)
        return f"{check.name} {amount(before, check.unit)} -> {now}" if before is not None else (
            f"{check.name} {now}")  # fmt: skip

    def _numbers(self, samples: Mapping[str, Sample]) -> dict[str, float]:
        return {name: s.value for name, s in samples.items() if s.value is not None}


def amount(value: float, unit: Unit) -> str:
    """Three digits and the unit: ``31 %``, ``0.25 s``, ``1.5 GiB``."""
    if unit in ("ratio", "percent"):
        return f"{value * 100 if unit == 'ratio' else value:.3g} %"
    if unit == "seconds":
        return f"{value:.3g} s"
    if unit == "bytes":
        size = min(max(int(math.log(max(abs(value), 1), 1024)), 0), 4)
        return f"{value / 1024**size:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[size]}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _together(answers: Any) -> Answer:
    found = set(answers)
    return "fail" if "fail" in found else "unknown" if "unknown" in found else "pass"

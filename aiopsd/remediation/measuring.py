"""Asks for the numbers that playbooks name. No data is an answer, not an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from aiopsd.contracts import Metrics
from aiopsd.errors import Refused, Unreachable
from aiopsd.model import Decision
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.matching import Plan
from aiopsd.remediation.schema import Check, Measure, Playbook
from aiopsd.remediation.verify import Sample


async def consider(
    plan: Plan, metrics: Metrics, judge: Callable[[Plan], Decision]
) -> tuple[Plan, Decision]:
    """Judges twice: without numbers first, and only what passes is worth asking numbers for."""
    decision = judge(plan)
    if decision.verdict in ("run", "observe"):
        plan = await look(plan, metrics)
        decision = judge(plan)
    return plan, decision


async def look(plan: Plan, metrics: Metrics) -> Plan:
    """The plan with its ``metric`` values; ``blind`` when they, or its checks, cannot be asked."""
    try:
        found = await metric_values(plan.playbook, metrics, plan.context)
        if not plan.playbook.metrics:
            first = plan.playbook.verify.checks[0]
            await measure(first, metrics, plan.context)
    except Unreachable as error:
        return replace(plan, blind=str(error))
    return replace(plan, blind="", context=plan.context | {"metric": found})


async def metric_values(
    playbook: Playbook, metrics: Metrics, context: Mapping[str, Any]
) -> dict[str, float | None]:
    """The root ``metric``. Raises Unreachable."""
    return {
        name: (await measure(playbook.measure(name), metrics, context)).value
        for name in playbook.metrics
    }


async def check_values(
    checks: Iterable[Check], metrics: Metrics, context: Mapping[str, Any]
) -> tuple[dict[str, Sample], str]:
    """A sample for every check, and why some could not be asked for ("" when all could)."""
    samples: dict[str, Sample] = {}
    blind = ""
    for check in checks:
        try:
            samples[check.name] = await measure(check, metrics, context)
        except Unreachable as error:
            blind = str(error)
            samples[check.name] = Sample(None, f"cannot be asked: {error}")
    return samples, blind


async def measure(asked: Measure, metrics: Metrics, context: Mapping[str, Any]) -> Sample:
    """Raises Unreachable; a question that is refused, or cannot be filled in, is no data."""
    try:
        if asked.promql is not None:
            found = await metrics.promql(str(expressions.render(asked.promql, context, _quoted)))
        else:
            where = expressions.render(asked.where, context)
            wanted = {name: str(value) for name, value in where.items()}
            found = await metrics.rule(str(asked.rule), wanted)
    except (Refused, ExpressionError) as error:
        return Sample(None, str(error))
    return Sample(found) if found is not None and math.isfinite(found) else Sample(None)


def _quoted(text: str) -> str:
    """A label's value inside a PromQL string cannot end that string."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

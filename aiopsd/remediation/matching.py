"""Which playbooks answer an incident: playbooks x incident -> plans. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiopsd.model import Decision, Incident, Reason, Suspect
from aiopsd.remediation import context as views
from aiopsd.remediation import expressions
from aiopsd.remediation.expressions import ExpressionError
from aiopsd.remediation.schema import Playbook, Trigger


@dataclass(frozen=True, slots=True)
class Plan:
    """A playbook filled in for one incident. What it says of the incident stays as it was."""

    playbook: Playbook
    incident: Incident
    root: Suspect
    kind: str  # of the target
    id: str
    params: dict[str, Any]  # a secret is null here: its value is fetched at the last moment
    context: dict[str, Any]  # the roots that expressions see
    blind: str = ""  # why its numbers could not be asked for; "" when they could

    @property
    def target(self) -> str:
        """Whom it acts on, in one word: what locks, cooldowns and halts go by."""
        return f"{self.kind}/{self.id}"


def match(
    playbooks: Iterable[Playbook], incident: Incident, now_s: float
) -> tuple[list[Plan], list[Decision]]:
    """Plans that may be judged, and refusals that a person should read.

    A refusal is a playbook that would answer but cannot be filled in: its ``when`` fails, or
    it names nobody. The incident's first suspect is ``root``; without one nothing matches.
    """
    plans: list[Plan] = []
    refusals: list[Decision] = []
    root = incident.root
    if root is None or incident.closed:
        return plans, refusals
    for playbook in playbooks:
        try:
            plan = _plan(playbook, incident, root, now_s)
        except ExpressionError as error:
            refusals.append(_refusal(playbook, incident, now_s, str(error)))
        else:
            plans += [plan] if plan is not None else []
    return plans, refusals


def _plan(playbook: Playbook, incident: Incident, root: Suspect, now_s: float) -> Plan | None:
    params = {name: param.default for name, param in playbook.params.items()}
    seen = views.of_incident(incident, root, now_s) | {"params": params}
    if not any(_answers(t, incident, root, seen, now_s) for t in playbook.on):
        return None
    target = playbook.target
    kind = _name(target.kind, "target.kind", seen)
    name = _name(target.id, "target.id", seen)
    seen["target"] = views.of_target(kind, name, {})
    return Plan(playbook, incident, root, kind, name, params, seen)


def _answers(
    trigger: Trigger, incident: Incident, root: Suspect, seen: dict[str, Any], now_s: float
) -> bool:
    if trigger.incident != incident.kind or incident.severity not in trigger.severity:
        return False
    if any(root.labels.get(name) != wanted for name, wanted in trigger.labels.items()):
        return False
    if trigger.for_ > 0 and _lasted(incident, root, now_s) < trigger.for_:
        return False
    if trigger.when is None:
        return True
    try:
        return expressions.true(trigger.when, seen)
    except ExpressionError as error:
        if seen["change"] is None and "change" in expressions.compiled(trigger.when).roots:
            return False  # it asks for a change, and there is none
        raise ExpressionError(f"when: {error} (in `{trigger.when}`)") from None


def _lasted(incident: Incident, root: Suspect, now_s: float) -> float:
    """For how long the root's own anomaly has been open; without one, the service's."""
    open_ones = [a for a in incident.anomalies if not a.closed and a.service == root.service]
    own = [a for a in open_ones if a.rule == root.metric] or open_ones
    return now_s - min((a.onset_s for a in own), default=now_s)


def _name(template: str, what: str, seen: dict[str, Any]) -> str:
    """Nothing is ever done to an empty target."""
    try:
        name = expressions.render(template, seen)
    except ExpressionError as error:
        raise ExpressionError(f"{what}: {error}") from None
    if name is None or not str(name).strip():
        raise ExpressionError(f"{what} is empty: {template!r}")
    return str(name)


def _refusal(playbook: Playbook, incident: Incident, now_s: float, why: str) -> Decision:
    return Decision(
        id=f"{incident.id}/{playbook.name}",
        incident=incident.id,
        playbook=playbook.name,
        target="",
        mode=playbook.mode,
        verdict="refuse",
        reason=Reason(code="not_filled_in", text=why),
        time_s=now_s,
    )

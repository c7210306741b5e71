"""One incident and its runs as one Slack message of at most nine blocks. Pure.

The state is the first word of the header, where it matters; no emoji. The same incident gives the
same message: no clock is read here. Block Kit: docs.slack.dev/reference/block-kit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from aiopsd.model import (
    SEVERITIES,
    Anomaly,
    Incident,
    Muted,
    Outcome,
    Reason,
    Run,
    Silence,
    Suspect,
)
from aiopsd.notifiers.said import digest
from aiopsd.notifiers.slack_text import clock, code, plain, said
from aiopsd.notifiers.story import story
from aiopsd.notifiers.words import amount, bars, between, duration

Block = dict[str, Any]

TEXT_LIMIT = 3000  # of a message without blocks
URL_LIMIT = 3000
CLOSE = 0.1  # two suspects whose scores are this close: it is not clear yet
SAMPLE_CHARS = 300  # of a log line
_NO_LINE = ("runbook: ", "no data")
NEEDS_YOU = "Needs you"
WORDS: dict[Outcome | None, str] = {
    "healed": "Healed", "healed_by_itself": "Healed by itself", "denied": "Denied",
    "expired": "Expired", "no_effect": NEEDS_YOU, "made_worse": NEEDS_YOU,
    "inconclusive": NEEDS_YOU, "failed": NEEDS_YOU, "rollback_failed": NEEDS_YOU,
}  # fmt: skip
OUTCOMES: dict[Outcome | None, str] = {
    "healed": "healed it: the metric recovered and stayed",
    "healed_by_itself": "had nothing left to do: it healed by itself",
    "no_effect": "had no effect",
    "made_worse": "made it worse",
    "inconclusive": "acted, but whether it helped cannot be told",
    "failed": "failed",
    "rollback_failed": "failed, and so did putting things back",
    "denied": "was denied",
    "expired": "waited too long for a yes and did nothing",
    "superseded": "gave way to another run",
    "dry": "only watched: it changed nothing",
}


@dataclass(frozen=True)
class Message:
    """``text`` is what a notification shows, ``alone`` the whole message without blocks."""

    word: str  # the state; empty for an incident on which nothing acts
    text: str
    alone: str
    blocks: list[Block]

    @property
    def digest(self) -> str:
        return digest(msgspec.json.encode([self.text, self.blocks]))


def render(incident: Incident, runs: Sequence[Run], page_url: str = "") -> Message:
    """Runs in any order; ``page_url`` is the address of the daemon's page, or empty."""
    runs = sorted(runs, key=lambda run: (run.started_s, run.id))
    word = state_word(incident, runs)
    head = _header(word, incident)
    cause = _cause(incident)
    fields = [f"*{name}*\n{value}" for name, value in _facts(incident)]
    doing = _doing(incident, runs)
    beside = (_shape(incident), _sample(incident), _latest(incident, runs))
    contexts = [line for line in beside if line]
    foot = _foot(incident, runs)
    blocks: list[Block] = [
        {"type": "header", "text": {"type": "plain_text", "text": head, "emoji": False}},
        {"type": "section", "text": _mrkdwn(cause)},
        {"type": "section", "fields": [_mrkdwn(field) for field in fields]},
        {"type": "section", "text": _mrkdwn(doing)},
        *(_context(line) for line in contexts),
        *_open_button(incident, page_url),
        _context(foot),
    ]
    whole = [f"*{said(head, 200)}*", cause, *fields, doing, *contexts, foot]
    return Message(word, said(head, 300), _within(TEXT_LIMIT, whole), blocks)


def ending(silence: Silence) -> str:
    """What people read before a silence ends that mutes something."""
    what = silence.window or ", ".join(f"{m.label}{m.op}{m.value}" for m in silence.matchers)
    told = ", ".join(silence.mutes[:10])
    more = f" and {len(silence.mutes) - 10} more" if len(silence.mutes) > 10 else ""
    return (f"The {silence.kind} {said(silence.id, 60)} of {said(silence.owner, 200)} over "
            f"{code(what, 500)} ends at {clock(silence.ends_s)}. Told then, if it lasts: "
            f"{said(told, 300)}{more}. ({said(silence.reason, 300)})")  # fmt: skip


def state_word(incident: Incident, runs: Sequence[Run]) -> str:
    """``runs`` oldest first."""
    acting = [run for run in runs if not run.closed]
    if acting:
        return "Undoing" if any(run.state == "undoing" for run in acting) else "Healing"
    last = next((r.outcome for r in reversed(runs) if r.outcome not in ("dry", "superseded")), None)
    word = WORDS.get(last, "")
    if incident.closed and not word.startswith("Healed"):
        return "Resolved"
    if incident.muted is not None and not incident.closed:
        return "Muted"
    return word


def _header(word: str, incident: Incident) -> str:
    title = plain(incident.title, 120) or incident.kind
    over_s = incident.resolved_s if incident.closed else None
    after = f" after {duration(over_s - incident.opened_s)}" if over_s is not None else ""
    return f"{word}{after}: {title}" if word else title


def _cause(incident: Incident) -> str:
    suspects = incident.suspects
    if not suspects:
        return "*No cause found.*" if incident.closed else "*No cause found yet.*"
    first = suspects[0]
    if len(suspects) > 1 and first.score - suspects[1].score < CLOSE and not incident.closed:
        either = " or ".join(_scored("", suspect) for suspect in suspects[:2])
        return f"*Not clear yet:* {either}.{_why(first)}{_against(first)}"
    return f"{_scored('Most likely: ', first)}.{_why(first)}{_against(first)}"


def _scored(lead: str, suspect: Suspect) -> str:
    change = suspect.change
    if change is None:
        return f"*{lead}{said(suspect.id, 120)}* ({suspect.score:.2f})"
    what = said(f"{change.kind} {change.service} {change.version}".strip(), 160)
    return f"*{lead}{what}* at {clock(change.time_s)} ({suspect.score:.2f})"


def _why(suspect: Suspect) -> str:
    return "".join(f" {_sentence(reason)}" for reason in suspect.reasons[:3])


def _against(suspect: Suspect) -> str:
    doubts = " ".join(_sentence(reason) for reason in suspect.against[:2])
    return f"\n_Against it:_ {doubts}" if doubts else ""


def _sentence(reason: Reason) -> str:
    text = said(reason.text, 240).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _facts(incident: Incident) -> list[tuple[str, str]]:
    until_s = incident.resolved_s if incident.resolved_s is not None else incident.updated_s
    lasted_secs = until_s - incident.opened_s
    lasted = f", {duration(lasted_secs)}" if lasted_secs >= 1 else ""
    worst = _worst(incident)
    series = len(incident.anomalies)
    places = said(", ".join(incident.services[:4]), 200)
    if len(incident.services) > 4:
        places = f"{len(incident.services)} services"
    strange = f"{series} series" + (f" in {places}" if places else "")
    return [
        ("Since", clock(incident.opened_s) + lasted),
        ("Severity", incident.severity),
        ("Impact", said(_impact(worst), 200) if worst else incident.kind),
        ("Strange", strange),
    ]


def _worst(incident: Incident) -> Anomaly | None:
    """What still hurts most; when nothing does, what hurt most."""
    left = [a for a in incident.anomalies if not a.closed] or incident.anomalies
    return max(left, key=lambda a: (SEVERITIES.index(a.severity), a.score), default=None)


def _sample(incident: Incident) -> str:
    """A log line of what is strange: the newest of the strangest."""
    spoken = [a for a in incident.anomalies if a.kind == "log-novelty" and a.evidence]
    worst = max(spoken, key=lambda a: (not a.closed, a.score), default=None)
    lines = [one for one in worst.evidence if not one.startswith(_NO_LINE)] if worst else []
    return f"Says: {code(lines[-1], SAMPLE_CHARS)}" if lines else ""


def _impact(anomaly: Anomaly) -> str:
    expected = between(anomaly.low, anomaly.high, anomaly.unit)
    if not expected and anomaly.expected is not None:
        expected = amount(anomaly.expected, anomaly.unit)
    observed = amount(anomaly.observed, anomaly.unit)
    if anomaly.closed:
        last = anomaly.recent[-1] if anomaly.recent else None
        return f"{observed}, now {amount(last, anomaly.unit)}" if last is not None else observed
    return f"{observed} instead of {expected}" if expected else observed


def _doing(incident: Incident, runs: Sequence[Run]) -> str:
    over = incident.closed
    quiet = [one for one in (incident.muted, *incident.silenced) if one is not None and not over]
    mutes = {one.by: f"{_some(one, incident)}{said(one.text, 300)}" for one in reversed(quiet[:3])}
    return "\n".join((*mutes.values(), _acting(incident, runs)))


def _some(one: Muted, incident: Incident) -> str:
    """Which of its anomalies are silenced, where the others are not."""
    many = len(one.anomalies)
    return f"{many} of {len(incident.anomalies)} series: " if many and not incident.muted else ""


def _acting(incident: Incident, runs: Sequence[Run]) -> str:
    if not runs:
        return "No playbook acted." if incident.closed else "No playbook is acting on it."
    last = runs[-1]
    lines = [_run(last)]
    steps = [f"{said(step.id, 60)} {step.state}" for step in last.steps[:8]]
    if steps:
        more = f" and {len(last.steps) - 8} more" if len(last.steps) > 8 else ""
        lines.append(f"Steps: {', '.join(steps)}{more}")
    trouble = next((step.error for step in reversed(last.steps) if step.error), "")
    if trouble:
        lines.append(f"Trouble: {said(trouble, 300)}")
    if len(runs) > 1:
        before = (f"{said(r.playbook, 60)} {OUTCOMES.get(r.outcome, r.state)}" for r in runs[-4:-1])
        lines.append(f"Before: {', '.join(before)}")
    return "\n".join(lines)


def _run(run: Run) -> str:
    name, target = f"*{said(run.playbook, 100)}*", said(run.target, 160)
    match run.state:
        case "running":
            return f"{name} is acting on {target}"
        case "verifying":
            return f"{name} has acted on {target}; now the metric must prove it"
        case "undoing":
            return f"{name} is putting {target} back as it was"
        case "closed":
            return f"{name} on {target} {OUTCOMES.get(run.outcome, 'ended')}"


def _shape(incident: Incident) -> str:
    """The last values as little bars."""
    worst = _worst(incident)
    drawn = bars(worst.recent[-40:]) if worst else ""
    return f"{drawn}  {said(worst.title, 160)}" if worst and drawn else ""


def _latest(incident: Incident, runs: Sequence[Run]) -> str:
    lines = story(incident, runs)
    if not lines:
        return ""
    last = lines[-1]
    return f"Latest: {clock(last.time_s)} {said(last.what.replace('_', ' '), 40)}: " + said(
        last.text, 300
    )


def _foot(incident: Incident, runs: Sequence[Run]) -> str:
    parts = [said(incident.id, 100), "aiopsd"]
    if runs:
        last = runs[-1]
        parts += [f"run {said(last.id, 100)}", f"playbook {code(last.digest[:8], 20)}"]
    return " · ".join(parts)


def _open_button(incident: Incident, page_url: str) -> list[Block]:
    url = f"{page_url.rstrip('/')}/incidents/{quote(incident.id, safe='')}"
    if not page_url or len(url) > URL_LIMIT:
        return []
    label = {"type": "plain_text", "text": "Open", "emoji": False}
    button = {"type": "button", "action_id": "aiopsd:open", "text": label, "url": url}
    return [{"type": "actions", "elements": [button]}]


def _mrkdwn(text: str) -> Block:
    # verbatim: what looks like a channel, a name or an address in a label stays as it is.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _context(text: str) -> Block:
    return {"type": "context", "elements": [_mrkdwn(text)]}


def _within(limit: int, parts: Sequence[str]) -> str:
    """Whole parts, as many as fit: a cut inside one could break its markup."""
    kept: list[str] = []
    for part in parts:
        if sum(map(len, kept)) + len(kept) + len(part) > limit:
            break
        kept.append(part)
    return "\n".join(kept)

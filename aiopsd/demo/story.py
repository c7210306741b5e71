"""The demo's story: journal events become lines for a terminal. Pure; look and words of a log.

Nothing is known beforehand: every line is something that the daemon has journalled.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiopsd.model import AnyEvent, Change, Decision, Incident, Moment, Run, Suspect

SIGNS = {
    "change": "◆", "anomaly": "●", "opened": "▌", "reopened": "▌", "healed": "✓", "resolved": "✓",
    "gate": "▲", "ready": "✓",
}  # fmt: skip
BAR = 10


class Story:
    """Feed it events in order; it gives the lines that are new."""

    def __init__(self, start_s: float, width: int = 100) -> None:
        self.start_s = start_s
        self.width = width
        self.told: list[tuple[float, str]] = []
        self._now_s = start_s  # of the newest line
        self._known: set[tuple[str, float, str, str]] = set()
        self._ranking: dict[str, str] = {}
        self._decided: dict[str, str] = {}

    def feed(self, event: AnyEvent) -> list[str]:
        match event:
            case Change():
                text = f"{event.kind} {event.service} {event.version}"
                return self._moments(event.id, [_moment(event.time_s, "change", text)])
            case Incident():
                # A change of the story is already told when the change itself was seen.
                news = [m for m in event.moments if m.what not in ("change", "suspect")]
                return self._moments(event.id, news) + self._suspects(event)
            case Decision():
                return self._decision(event)
            case Run():
                return self._moments(event.id, event.moments)
        return []

    def say(self, time_s: float, what: str, text: str) -> str:
        """One line, kept for the timeline at the end."""
        self.told.append((time_s, f"{what:9} {text}"))
        # What began earlier but is known only now is told now; the timeline puts it in its place.
        self._now_s = max(self._now_s, time_s)
        sign, began = SIGNS.get(what, "■"), self._now_s - time_s
        since = f", since {self._clock(time_s)}" if began >= 2 else ""
        return _cut(f" {self._clock(self._now_s)}  {sign} {what:9} {text}{since}", self.width)

    def timeline(self) -> list[str]:
        """The whole story again, in the order in which it happened."""
        return [
            _cut(f"   {self._clock(time_s)}  {text}", self.width)
            for time_s, text in sorted(self.told, key=lambda line: line[0])
        ]

    def _moments(self, owner: str, moments: Iterable[Moment]) -> list[str]:
        lines = []
        for moment in sorted(moments, key=lambda m: m.time_s):
            key = (owner, moment.time_s, moment.what, moment.text)
            if key not in self._known:
                self._known.add(key)
                lines.append(self.say(moment.time_s, moment.what, moment.text))
        return lines

    def _suspects(self, incident: Incident) -> list[str]:
        """The ranking when another one is first; with reasons."""
        first = incident.root
        if first is None or self._ranking.get(incident.id) == first.id or incident.closed:
            return []
        self._ranking[incident.id] = first.id
        lines = []
        for place, suspect in enumerate(incident.suspects[:3], 1):
            name = f"{place} {suspect.id}"
            self.told.append((incident.updated_s, f"suspect   {name} {suspect.score:.2f}"))
            clock = self._clock(incident.updated_s)
            lines.append(
                f" {clock}    suspect   {name:22} {bar(suspect.score)} {suspect.score:.2f}"
            )
            lines += [_cut(line, self.width) for line in _reasons(suspect, 3 if place == 1 else 1)]
        return lines

    def _decision(self, decision: Decision) -> list[str]:
        said = f"{decision.verdict}, {decision.reason.text}"
        if self._decided.get(decision.id) == said:
            return []
        self._decided[decision.id] = said
        text = f"{decision.playbook}: {said}"
        return [self.say(decision.time_s, "gate", text)]

    def _clock(self, time_s: float) -> str:
        secs = max(0, int(time_s - self.start_s))
        return f"{secs // 60:02}:{secs % 60:02}"


def bar(score: float, cells: int = BAR) -> str:
    """A bar of eighths: ``████████▌░``."""
    eighths = round(max(0.0, min(1.0, score)) * cells * 8)
    full, part = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return text + "░" * (cells - len(text))


def _reasons(suspect: Suspect, most: int) -> list[str]:
    lines = [f"+ {r.text}" for r in suspect.reasons[:most]]
    lines += [f"- {r.text}" for r in suspect.against[:most]]
    return [f"                    {line}" for line in lines]


def _moment(time_s: float, what: str, text: str) -> Moment:
    return Moment(time_s=time_s, what=what, text=text)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"

"""A run of a simulated world, to what people would be told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec.structs import replace

from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.quiet.quiet import Quiet
from aiopsd.correlation.quiet.storm import RULE, Storm
from aiopsd.correlation.topology import Topology
from aiopsd.model import Anomaly, AnyEvent, Incident
from aiopsd.pipeline.correlating import Correlating
from aiopsd.pipeline.detection import Findings
from aiopsd.pipeline.quieting import Quieting
from aiopsd.pipeline.state import State
from aiopsd.telemetry import Telemetry
from tests.simulation.telling import Told

MOST = 10  # storm_incidents


@dataclass
class Heard:
    """What one notifier would have said, and what was muted at some time."""

    told: dict[str, float] = field(default_factory=dict)  # incident -> when
    muted: Counter[str] = field(default_factory=Counter)  # code -> versions
    storms: int = 0
    now_s: float = 0.0
    state: State = field(default_factory=State)

    async def publish(self, *events: AnyEvent) -> None:
        for event in events:
            self.state.apply(event)
            if not isinstance(event, Incident):
                continue
            if event.muted is not None:
                self.muted[event.muted.code] += 1
            else:
                self.told.setdefault(event.id, self.now_s)
            self.storms |= any(one.rule == RULE for one in event.anomalies)


async def hear(told: Iterable[Told], calls: Iterable[tuple[str, str]], ends_s: float) -> Heard:
    """At each word, and every ten seconds where there is something open."""
    heard, ranker = Heard(), EvidenceRanker()
    quiet = Quiet(heard.state.silences, (), ranker, Storm(MOST))
    quieting = Quieting(quiet, heard.state, Telemetry(lambda: heard.now_s),
                        steady=lambda: heard.now_s)  # fmt: skip
    written: dict[str, list[str]] = {}
    for caller, callee in calls:
        written.setdefault(caller, []).append(callee)
    stage = Correlating(Grouping(), Topology(written), Ledger(), ranker, quieting)
    words = sorted(told, key=lambda one: (one.time_s, one.anomaly.id))
    at = 0
    while heard.now_s < ends_s:
        is_open = bool(stage.grouping.open)
        next_s = words[at].time_s if at < len(words) else ends_s
        heard.now_s = min(heard.now_s + 10.0, next_s) if is_open else next_s
        found = []
        while at < len(words) and words[at].time_s <= heard.now_s:
            found.append(_measured(words[at].anomaly))
            at += 1
        await stage.absorb(Findings(anomalies=found), heard.now_s, heard.publish)
    return heard


def _measured(one: Anomaly) -> Anomaly:
    """With numbers: what is certain is further from usual."""
    by = 10.0 if one.tier == "certain" else 3.0
    return replace(one, observed=1.0 + by, expected=1.0, low=0.8, high=1.2)

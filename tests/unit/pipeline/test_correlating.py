"""An incident is published when there is news of it, and its members' numbers once a minute."""

from collections.abc import Sequence

from msgspec.structs import replace

from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.topology import Topology
from aiopsd.model import Anomaly, AnyEvent, Incident
from aiopsd.pipeline.correlating import REFRESH_SECS, Correlating
from aiopsd.pipeline.detection import Findings

SICK = Anomaly(
    id="errors/api", rule="errors", kind="error-rate", severity="high", tier="certain",
    labels={"service": "api"}, entity={"service": "api"}, service="api", onset_s=0.0, seen_s=0.0,
    detector="threshold", title="errors api", score=1.0, observed=1.0,
)  # fmt: skip


class Stage:
    """The correlate stage, and all that it published."""

    def __init__(self) -> None:
        self.published: list[Incident] = []
        self.correlating = Correlating(Grouping(), Topology({}), Ledger(), EvidenceRanker())

    async def _publish(self, *events: AnyEvent) -> None:
        self.published += [event for event in events if isinstance(event, Incident)]

    async def at(self, now_s: float, *anomalies: Anomaly) -> Sequence[Incident]:
        """What was published, and returned, at this time."""
        before = len(self.published)
        found = Findings(anomalies=list(anomalies))
        returned = await self.correlating.absorb(found, now_s, self._publish)
        assert returned == self.published[before:]
        return returned


async def _opened(stage: Stage) -> None:
    for now_s in range(20):  # until its ranking has come to rest
        await stage.at(float(now_s), *([SICK] if now_s == 0 else []))


async def test_numbers_that_go_on_are_no_news_for_a_minute() -> None:
    stage = Stage()
    await _opened(stage)
    last_s = stage.published[-1].updated_s
    for now_s in range(20, int(last_s + REFRESH_SECS)):
        assert not await stage.at(float(now_s), replace(SICK, seen_s=float(now_s)))
    now_s = last_s + REFRESH_SECS
    (fresh,) = await stage.at(now_s, replace(SICK, seen_s=now_s))
    assert fresh.anomalies[0].seen_s == now_s


async def test_what_matters_is_published_at_once() -> None:
    stage = Stage()
    await _opened(stage)
    worse = replace(SICK, seen_s=20.0, title="errors api 7")
    (incident,) = await stage.at(20.0, worse)
    assert incident.title == "errors api 7"
    other = replace(SICK, id="errors/b", labels={"service": "api", "pod": "b"})
    (incident,) = await stage.at(21.0, other)
    assert len(incident.anomalies) == 2
    over = [replace(one, ended_s=22.0) for one in (worse, other)]
    (incident,) = await stage.at(22.0, *over)
    assert all(member.closed for member in incident.anomalies)
    (incident,) = await stage.at(60.0)
    assert incident.state == "resolved"
    assert not await stage.at(61.0)

"""Silences, windows, explanations and storms, from findings to what people are told."""

from collections.abc import Sequence
from datetime import time

import pytest
from msgspec.structs import replace

from aiopsd.correlation.anomaly_ranking import EvidenceRanker
from aiopsd.correlation.changes import Ledger
from aiopsd.correlation.grouping import Grouping
from aiopsd.correlation.quiet.matchers import parsed
from aiopsd.correlation.quiet.quiet import Quiet
from aiopsd.correlation.quiet.storm import RULE, Storm
from aiopsd.correlation.quiet.windows import Window
from aiopsd.correlation.topology import Topology
from aiopsd.errors import Refused
from aiopsd.model import Anomaly, AnyEvent, Incident, Silence
from aiopsd.pipeline.correlating import Correlating
from aiopsd.pipeline.detection import Findings
from aiopsd.pipeline.quieting import Quieting
from aiopsd.pipeline.state import State
from aiopsd.telemetry import Telemetry
from tests.unit.correlation.quiet.test_blame import crashed, slow
from tests.unit.correlation.test_grouping import T, anomaly

CALLS = {"web": ("cart",), "cart": ("db",)}
pytestmark = pytest.mark.looptime


class Stage:
    """The correlate stage with its state, and what one notifier would have said first."""

    def __init__(self, state: State | None = None, windows: Sequence[Window] = ()) -> None:
        self.state = state or State()
        self.now_s = T
        self.told: list[str] = []  # titles of incidents, once each
        self.telemetry = Telemetry(lambda: T)
        ranker, storm = EvidenceRanker(), Storm(10)
        storm.restore(self.state.incidents.values())
        quiet = Quiet(self.state.silences, windows, ranker, storm)
        self.quieting = Quieting(quiet, self.state, self.telemetry, ["prom"], ["ops"],
                                 lambda: self.now_s)  # fmt: skip
        self.grouping = Grouping()
        self.grouping.restore(self.state.incidents.values())
        self.correlating = Correlating(
            self.grouping, Topology(CALLS), Ledger(), ranker, self.quieting
        )
        self._lasting: dict[str, Anomaly] = {}
        self._known: set[str] = set()

    async def publish(self, *events: AnyEvent) -> None:
        for event in events:
            self.state.apply(event)
            if isinstance(event, Incident) and not event.muted and event.id not in self._known:
                self._known.add(event.id)
                self.told.append(event.title)

    async def at(self, now_s: float, *anomalies: Anomaly) -> None:
        """What lasts is seen again."""
        self.now_s = now_s
        self._lasting |= {one.id: one for one in anomalies}
        self._lasting = {k: replace(one, seen_s=now_s) for k, one in self._lasting.items()}
        found = Findings(anomalies=list(self._lasting.values()))
        self._lasting = {k: one for k, one in self._lasting.items() if not one.closed}
        await self.correlating.absorb(found, now_s, self.publish)

    async def silence(self, *matchers: str, now_s: float = T, secs: float = 3600.0) -> Silence:
        return await self.quieting.add(
            matchers, owner="ana", reason="disks", starts_s=now_s, ends_s=now_s + secs,
            kind="silence", now_s=now_s, publish=self.publish,
        )  # fmt: skip

    def one(self, service: str = "db") -> Incident:
        (found,) = [i for i in self.state.incidents.values() if service in i.services]
        return found

    def story(self, service: str = "db") -> list[str]:
        words = ("muted", "unmuted", "silenced")
        return [f"{m.what}: {m.text}" for m in self.one(service).moments if m.what in words]


async def test_what_is_silenced_is_grouped_and_shown_and_told_when_that_ends_and_it_lasts() -> None:
    """alertmanager #2896: not with the next repeat; #730: and it is said why only now."""
    stage = Stage()
    silence = await stage.silence("service=db")
    await stage.at(T + 1, anomaly("db"))
    muted = stage.one().muted
    assert muted is not None
    assert (muted.code, muted.by, muted.until_s) == ("silenced", silence.id, T + 3600)
    assert stage.told == []
    await stage.at(T + 3599)
    assert stage.told == []
    await stage.at(T + 3600)
    assert stage.told == ["errors db"]
    assert stage.one().muted is None
    assert stage.story() == [f"muted: {muted.text}", f"unmuted: {silence.id} is over, and this "
                             "lasts"]  # fmt: skip
    assert stage.state.silences[silence.id].ended_s == T + 3600


async def test_what_is_over_before_the_silence_ends_is_never_told() -> None:
    stage = Stage()
    await stage.silence("service=db")
    await stage.at(T + 1, anomaly("db"))
    await stage.at(T + 60, anomaly("db", ended_s=T + 50))
    await stage.at(T + 120)
    assert stage.one().closed
    assert stage.one().muted is not None  # it says so afterwards, too
    await stage.at(T + 3700)
    assert stage.told == []


async def test_it_is_ended_by_hand_and_only_once() -> None:
    stage = Stage()
    silence = await stage.silence("service=db")
    await stage.at(T + 1, anomaly("db"))
    await stage.quieting.end(silence.id, "bo", T + 10, stage.publish)
    await stage.at(T + 11)
    assert stage.told == ["errors db"]
    assert stage.story()[-1] == f"unmuted: {silence.id} is over, ended by bo, and this lasts"
    for name, wrong in ((silence.id, "is over since"), ("SIL-0", "no silence")):
        with pytest.raises(Refused, match=wrong):
            await stage.quieting.end(name, "bo", T + 12, stage.publish)


async def test_one_member_that_is_not_silenced_is_told_at_once() -> None:
    stage = Stage()
    silence = await stage.silence("rule=errors")
    await stage.at(T + 1, anomaly("db"))
    await stage.at(T + 30, anomaly("db", "slow", onset_s=T + 30))
    assert stage.told == ["slow db"]  # not in the name of what is silenced
    found = stage.one()
    assert found.title == "slow db"
    assert found.muted is None
    (members,) = found.silenced
    assert (members.by, members.anomalies) == (silence.id, (anomaly("db").id,))
    assert stage.story()[-1] == f"unmuted: not all that lasts is silenced by {silence.id}"
    await stage.at(T + 60, anomaly("db", "slow", onset_s=T + 30, ended_s=T + 50))
    assert stage.one().muted is not None  # what lasts is silenced


async def test_some_members_silenced_from_the_beginning() -> None:
    stage = Stage()
    silence = await stage.silence("rule=errors")
    await stage.at(T + 1, anomaly("db"), anomaly("db", "slow"))
    await stage.at(T + 2)
    assert stage.told == ["slow db"]
    assert stage.story() == [f"silenced: 1 of 2 anomalies silenced by ana until "
                             f"1970-01-12 14:46Z: disks ({silence.id})"]  # fmt: skip


async def test_alertmanager_1639_somebody_is_warned_of_its_end_while_it_mutes_something(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()
    silence, idle = await stage.silence("service=db"), await stage.silence("service=none")
    await stage.at(T + 1, anomaly("db"))
    await stage.at(T + 3200)
    assert stage.state.silences[silence.id].warned_s is None
    with caplog.at_level("WARNING"):
        await stage.at(T + 3240)
        await stage.at(T + 3241)
    assert stage.state.silences[silence.id].warned_s == T + 3240
    assert stage.state.silences[idle.id].warned_s is None
    told = f"id={silence.id} owner=ana at=1970-01-12 14:46Z then_told={stage.one().id}"
    said = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert said == [f"silence ends soon {told}"]
    assert stage.state.silences[silence.id].mutes == (stage.one().id,)


async def test_it_survives_a_restart() -> None:
    stage = Stage()
    await stage.silence("service=db")
    await stage.at(T + 1, anomaly("db"))
    again = Stage(stage.state)
    await again.at(T + 60, anomaly("db"))
    await again.at(T + 3600)
    assert (stage.told, again.told) == ([], ["errors db"])


async def test_a_window_of_the_configuration_comes_and_goes_and_can_be_ended() -> None:
    at = time(13, 50)  # T is 13:46:40 UTC
    window = Window("backup", parsed(["service=db"]), "ana", "nightly", at, 1800.0)
    stage, begin_s = Stage(windows=[window]), T + 200
    await stage.at(T + 1)
    assert stage.state.silences == {}
    await stage.at(begin_s, anomaly("db", onset_s=begin_s))
    (one,) = stage.state.silences.values()
    assert (one.kind, one.window, one.starts_s) == ("maintenance", "backup", begin_s)
    assert stage.one().muted is not None
    assert stage.state.troubled(begin_s) >= {"db"}
    await stage.quieting.end(one.id, "bo", begin_s + 60, stage.publish)
    await stage.at(begin_s + 61)
    assert stage.told == ["errors db"]
    again = Stage(stage.state, [window])
    await again.at(begin_s + 120)
    assert len(again.state.silences) == 1  # what was ended by hand stays ended


async def test_a_window_that_was_taken_out_of_the_configuration_is_over() -> None:
    at = time(13, 46)
    stage = Stage(windows=[Window("b", parsed(["service=db"]), "ana", "n", at, 1800.0)])
    await stage.at(T, anomaly("db"))
    again = Stage(stage.state)
    await again.at(T + 10, anomaly("db"))
    (one,) = stage.state.silences.values()
    assert (one.ended_s, one.ended_by) == (T + 10, "aiopsd.yaml")
    assert again.told == ["errors db"]


async def test_an_incident_that_another_explains_is_suppressed_and_told_when_it_outlasts_it() -> (
    None
):
    stage = Stage()
    await stage.at(T, crashed("db"))
    for ago in range(60, 4000, 60):
        await stage.at(T + ago)
    later = T + 4000  # so late that grouping keeps them apart
    await stage.at(later, slow("cart", onset_s=later))
    cause, cart = stage.one("db"), stage.one("cart")
    assert cause.id != cart.id
    assert cart.muted is not None
    assert cart.muted.text == f"suppressed because {cause.id} (db) explains it"
    assert len(stage.told) == 1
    await stage.at(later + 60, replace(crashed("db"), ended_s=later + 50))
    for secs in range(61, 200, 10):
        await stage.at(later + secs)
    assert stage.one("db").closed
    assert stage.told == ["down db", "latency cart"]
    assert stage.story("cart")[-1] == f"unmuted: {cause.id} explains it no more, and it lasts"


async def test_who_is_silenced_explains_nothing_away() -> None:
    """Or nobody is told at all, as with Alertmanager's inhibition."""
    stage = Stage()
    await stage.silence("service=db", secs=86400.0)
    await stage.at(T, crashed("db"))
    for ago in range(60, 4000, 60):
        await stage.at(T + ago)
    await stage.at(T + 4000, slow("cart", onset_s=T + 4000))
    assert stage.told == ["latency cart"]


def _many(count: int, onset_s: float, first: int = 0) -> list[Anomaly]:
    """Unrelated to one another."""
    return [anomaly(f"svc-{n}", onset_s=onset_s) for n in range(first, first + count)]


async def test_a_storm_is_one_message_and_what_outlasts_it_is_told() -> None:
    """Forty true failures: nothing is lost."""
    stage = Stage()
    for n, one in enumerate(_many(40, T)):
        await stage.at(T + n, replace(one, onset_s=T + n))
    first = [f"errors svc-{n}" for n in range(10)]
    assert stage.told[:10] == first
    assert len(stage.told) == 11  # ten before there were too many, then the storm
    assert stage.told[10] == "11 unrelated incidents at once: is the monitor well?"
    storm = stage.one("the monitor")
    assert storm.title.startswith("40 unrelated incidents")
    assert (storm.kind, storm.suspects[0].id) == ("monitor", "the monitor")
    assert stage.one("svc-0").muted is None  # it was told before
    assert "20 more" in storm.anomalies[0].evidence[-1]
    assert stage.quieting.storming().startswith("40 unrelated incidents at once")
    for n in range(60, 1000, 20):
        await stage.at(T + n)
    assert stage.one("the monitor").closed
    assert stage.quieting.storming() == ""
    titles = {f"errors svc-{n}" for n in range(40)}
    assert set(stage.told) - {stage.told[10]} == titles
    assert len(stage.told) == 41  # each once
    assert stage.story("svc-30")[-1] == "unmuted: it has lasted through the storm"


async def test_ten_at_once_are_no_storm_and_those_of_one_service_are_one() -> None:
    stage = Stage()
    same = [replace(one, labels={"pod": f"p{n}"}, id=f"p{n}") for n, one in
            enumerate([anomaly("svc-0")] * 9)]  # fmt: skip
    await stage.at(T, *_many(10, T), *same)
    assert len(stage.told) == 10
    assert stage.quieting.storming() == ""


async def test_with_a_sign_against_the_monitor_it_goes_on_until_that_is_gone() -> None:
    """While data does not come nobody can know what is broken."""
    stage = Stage()
    stage.telemetry.went("prom", "connection refused")
    stage.telemetry.went("ops", "no route")
    await stage.at(T, *_many(30, T))
    assert len(stage.told) == 1
    evidence = stage.one("the monitor").anomalies[0].evidence
    assert evidence[0] == "sign: prom does not answer"
    assert evidence[1] == "sign: nor does ops: is the network of this host well?"
    for n in range(60, 2400, 30):
        await stage.at(T + n)
    assert len(stage.told) == 1
    stage.telemetry.came("prom")
    stage.telemetry.came("ops")
    over = [replace(one, ended_s=T + 2400) for one in _many(30, T)]
    await stage.at(T + 2400, *over[:29])
    for n in range(2410, 2550, 10):
        await stage.at(T + n)
    assert len(stage.told) == 2  # the one that lasts


async def test_whoever_resolves_the_storm_is_told_of_each() -> None:
    stage = Stage()
    await stage.at(T, *_many(20, T))
    assert len(stage.told) == 1
    await stage.publish(*stage.grouping.resolve(stage.one("the monitor").id, "bo", T + 5))
    await stage.at(T + 6)
    assert len(stage.told) == 21
    assert stage.quieting.storming() == ""


async def test_a_storm_goes_on_after_a_restart() -> None:
    stage = Stage()
    await stage.at(T, *_many(20, T))
    again = Stage(stage.state)
    await again.at(T + 5, *_many(20, T))
    assert again.told == []
    assert sum(any(a.rule == RULE for a in i.anomalies) for i in again.grouping.open) == 1


async def test_nobody_silences_the_storm() -> None:
    stage = Stage()
    await stage.silence("kind=monitor")
    await stage.at(T, *_many(20, T))
    assert len(stage.told) == 1


async def test_what_is_silenced_makes_no_storm() -> None:
    stage = Stage()
    await stage.silence("service=~svc-.*")
    await stage.at(T, *_many(20, T))
    await stage.at(T + 1)
    assert stage.told == []
    assert stage.quieting.storming() == ""


async def test_a_clock_that_jumps_is_a_sign_against_the_monitor() -> None:
    stage = Stage()
    await stage.at(T)
    await stage.at(T + 1)
    stage.quieting._steady = lambda: stage.now_s - 40.0
    await stage.at(T + 2, *_many(20, T))
    evidence = stage.one("the monitor").anomalies[0].evidence
    assert evidence[0] == "sign: the clock of this host jumped by +40 s"

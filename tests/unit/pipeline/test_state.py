"""What the journal says, when it was written by a clock that was ahead."""

from msgspec.structs import replace

from aiopsd.model import (
    Anomaly,
    Incident,
    Matcher,
    Moment,
    Muted,
    Reason,
    Run,
    Silence,
    StepRecord,
    Suspect,
)
from aiopsd.pipeline.state import State, restore, rewound
from aiopsd.stores import MemoryStore

NOW_S, LATER_S = 1000.0, 9000.0
ANOMALY = Anomaly(
    id="a", rule="r", kind="latency", severity="high", tier="certain", labels={}, entity={},
    service="api", onset_s=LATER_S, seen_s=10.0, ended_s=LATER_S, detector="band", title="slow",
    score=1.0, recent=(1.0, None, 1e12), lasts_secs=1e9,
)  # fmt: skip
INCIDENT = Incident(
    id="i", fingerprint="f", title="slow", kind="latency", severity="high", opened_s=LATER_S,
    onset_s=10.0, updated_s=LATER_S, services=("api",), anomalies=(ANOMALY,),
    suspects=(Suspect(kind="Service", id="api", service="api", metric="r", anomaly_kind="latency",
                      score=1.0, reasons=(Reason(code="c", text="t", numbers={"left_s": 1e12}),)),),
    moments=(Moment(time_s=LATER_S, what="opened", text="slow"),),
)  # fmt: skip


def test_nothing_is_later_than_now_but_what_people_were_told() -> None:
    found = rewound(INCIDENT, NOW_S)
    assert (found.opened_s, found.onset_s, found.updated_s) == (NOW_S, 10.0, NOW_S)
    (anomaly,) = found.anomalies
    assert (anomaly.onset_s, anomaly.seen_s, anomaly.ended_s) == (NOW_S, 10.0, NOW_S)
    assert (anomaly.recent, anomaly.lasts_secs) == (ANOMALY.recent, ANOMALY.lasts_secs)
    assert (found.moments, found.suspects) == (INCIDENT.moments, INCIDENT.suspects)
    step = StepRecord(id="s", do="command.run", started_s=LATER_S)
    run = Run(id="r", incident="i", playbook="p", digest="d", target="t", started_s=LATER_S,
              steps=(step,))  # fmt: skip
    found = rewound(run, NOW_S)
    assert (found.started_s, found.ended_s, found.steps[0].started_s) == (NOW_S, None, NOW_S)


def test_what_is_past_stays_as_it_is() -> None:
    assert rewound(INCIDENT, LATER_S) == INCIDENT


SILENCE = Silence(
    id="SIL-1", matchers=(Matcher(label="service", op="=", value="db"),), owner="ana", reason="r",
    created_s=100.0, starts_s=100.0, ends_s=LATER_S,
)  # fmt: skip


async def test_silences_keep_their_ends_and_those_of_a_clock_that_was_ahead_have_begun() -> None:
    store = MemoryStore(lambda: 100.0)
    ahead = replace(SILENCE, id="SIL-2", created_s=5000.0, starts_s=5000.0)
    planned = replace(ahead, id="SIL-3", starts_s=6000.0)
    over = replace(SILENCE, id="SIL-4", ended_s=90.0)
    await store.append(SILENCE, ahead, planned, over)
    found = (await restore(store, NOW_S)).silences
    assert found["SIL-1"] == SILENCE
    begun = {name: (one.starts_s, one.ends_s) for name, one in found.items()}
    assert begun["SIL-2"] == (NOW_S, LATER_S)
    assert begun["SIL-3"] == (6000.0, LATER_S)
    assert found["SIL-4"].closed  # a window that people ended must not begin again


def test_when_what_mutes_it_ends_is_yet_to_come() -> None:
    muted = Muted(code="silenced", text="t", by="SIL-1", until_s=LATER_S)
    assert rewound(replace(INCIDENT, muted=muted, silenced=(muted,)), NOW_S).muted == muted


def test_a_silence_is_forgotten_when_it_is_over_and_could_not_come_again() -> None:
    over = replace(SILENCE, ended_s=200.0)
    state = State(silences={"SIL-1": over, "SIL-2": SILENCE})
    state.forget(LATER_S - 1)
    assert len(state.silences) == 2
    state.forget(LATER_S + 1)
    assert set(state.silences) == {"SIL-2"}


def test_detectors_learn_less_from_what_is_under_maintenance() -> None:
    mended = replace(SILENCE, kind="maintenance")
    for silences, troubled in (({"a": mended}, {"db"}), ({"a": SILENCE}, set()),
                               ({"a": replace(mended, ended_s=150.0)}, set())):  # fmt: skip
        assert State(silences=silences).troubled(200.0) == troubled
    assert State(silences={"a": mended}).troubled(50.0) == set()  # it has not begun

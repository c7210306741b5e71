"""What the journal says, when it was written by a clock that was ahead."""

from aiopsd.model import Anomaly, Incident, Moment, Reason, Run, StepRecord, Suspect
from aiopsd.pipeline.state import rewound

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

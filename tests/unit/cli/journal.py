"""A journal with one incident, what was done about it, and what was not."""

from __future__ import annotations

from pathlib import Path

from aiopsd.model import (
    Anomaly,
    AnyEvent,
    Decision,
    Incident,
    Moment,
    Reason,
    Run,
    StepRecord,
    Suspect,
)
from aiopsd.stores import SqliteStore

START_S = 1_700_000_000.0  # 2023-11-14 22:13:20 UTC

ANOMALY = Anomaly(
    id="errors/1/1",
    rule="http_error_ratio",
    kind="error-rate",
    severity="high",
    tier="certain",
    labels={"service": "checkout", "zone": "a"},
    entity={"service": "checkout"},
    service="checkout",
    onset_s=START_S,
    seen_s=START_S + 30,
    detector="band",
    title="error ratio checkout 11.8 %, expected 0-1.2 %",
    score=0.93,
    observed=0.118,
    expected=0.004,
    low=0.0,
    high=0.012,
    samples=480,
    season="day",
    evidence=("payment refused: timeout",),
)
SUSPECT = Suspect(
    kind="Service",
    id="payments",
    service="payments",
    metric="http_error_ratio",
    anomaly_kind="error-rate",
    score=0.81,
    reasons=(Reason(code="first", text="was strange 12 s before all others"),),
    against=(Reason(code="quiet", text="its own latency is as usual"),),
)
OPEN = Incident(
    id="INC-7f3a21",
    fingerprint="f",
    title=ANOMALY.title,
    kind="error-rate",
    severity="high",
    opened_s=START_S + 10,
    onset_s=START_S,
    updated_s=START_S + 30,
    services=("checkout", "payments"),
    anomalies=(ANOMALY,),
    suspects=(SUSPECT,),
    moments=(Moment(time_s=START_S + 10, what="opened", text=ANOMALY.title),),
)
CLOSED = Incident(
    id="INC-000001",
    fingerprint="g",
    state="resolved",
    title="disk full",
    kind="disk-full",
    severity="low",
    opened_s=START_S - 9000,
    onset_s=START_S - 9000,
    updated_s=START_S - 8000,
    resolved_s=START_S - 8000,
)
RUN = Run(
    id="INC-7f3a21/rollback-release/1",
    incident="INC-7f3a21",
    playbook="rollback-release",
    digest="d",
    target="service/payments",
    started_s=START_S + 20,
    steps=(StepRecord(id="rollback", do="command.run", state="started"),),
    moments=(Moment(time_s=START_S + 20, what="apply", text="rollback: command.run"),),
)
DECISION = Decision(
    id="INC-7f3a21/restart",
    incident="INC-7f3a21",
    playbook="restart",
    target="service/checkout",
    mode="observe",
    verdict="observe",
    reason=Reason(code="mode", text="mode is observe; it would run now"),
    time_s=START_S + 15,
)
EVENTS: tuple[AnyEvent, ...] = (CLOSED, OPEN, DECISION, RUN)


async def write(folder: Path, *events: AnyEvent) -> Path:
    """A folder as the daemon leaves it; returns its aiopsd.yaml."""
    store = SqliteStore(folder / "state" / "journal.db", lambda: START_S)
    await store.append(*(events or EVENTS))
    await store.close()
    path = folder / "aiopsd.yaml"
    path.write_text("sources: {}\n")
    return path

"""Incidents and runs as the house hands them to notifiers: one that heals, and some that do not.

The incident: a deploy makes checkout fail; orders-db is suspected too, then a rollback heals it.
"""

from __future__ import annotations

from msgspec.structs import replace

from aiopsd.model import Anomaly, Change, Incident, Moment, Reason, Run, StepRecord, Suspect

T0 = 1795442520.0  # 2026-11-23 14:02 UTC
HOSTILE = (
    "<!channel> <script>alert(1)</script> `rm -rf` *bold* _it_ \u202edrow\u2066 & <@U1|you>\n> x"
)

DEPLOY = Change(
    id="deploys/api/v1.42", kind="deploy", time_s=T0 - 240, service="api", version="v1.42",
    previous="v1.41", author="mara",
)  # fmt: skip


def anomaly(**different: object) -> Anomaly:
    errors = Anomaly(
        id="http_error_ratio/checkout", rule="http_error_ratio", kind="error-rate",
        severity="high", tier="certain", labels={"service": "checkout"},
        entity={"service": "checkout"}, service="checkout", onset_s=T0 - 20, seen_s=T0,
        detector="band", title="checkout: error ratio 12 %", score=0.99, observed=0.12,
        expected=0.006, low=0.0, high=0.012, unit="ratio", samples=400,
        recent=(0.004, 0.006, 0.005, None, 0.007, 0.05, 0.12),
    )  # fmt: skip
    return replace(errors, **different)


def suspect(**different: object) -> Suspect:
    api = Suspect(
        kind="Service", id="api", service="api", metric="http_error_ratio",
        anomaly_kind="error-rate", score=0.86, change=DEPLOY,
        reasons=(
            Reason(code="changed", text="deploy v1.42 132 s before its first anomaly"),
            Reason(code="log-novelty", text="log line TaxTableMissing is new"),
        ),
        against=(Reason(code="later", text="turned strange 8 s after the first"),),
    )  # fmt: skip
    return replace(api, **different)


DATABASE = Suspect(
    kind="Service", id="orders-db", service="orders-db", metric="db_latency",
    anomaly_kind="latency", score=0.52, reasons=(Reason(code="latency", text="p99 is 1.9 s"),),
)  # fmt: skip


def opened() -> Incident:
    """The first minute: strange, no cause known."""
    return Incident(
        id="INC-2041", fingerprint="f00d", title="checkout: error ratio 12 %", kind="error-rate",
        severity="high", opened_s=T0, onset_s=T0 - 20, updated_s=T0, services=("checkout", "api"),
        anomalies=(anomaly(),),
        moments=(
            Moment(time_s=T0 - 20, what="anomaly", text="checkout: error ratio 12 %"),
            Moment(time_s=T0, what="opened", text="checkout: error ratio 12 %"),
        ),
    )  # fmt: skip


def unclear() -> Incident:
    """Two suspects of nearly the same score."""
    both = (DATABASE, suspect(score=0.47))
    return replace(opened(), suspects=both, updated_s=T0 + 15)


def ranked() -> Incident:
    """A cause is likely; the change that made it joins the story before moments already told."""
    first = opened()
    news = (
        Moment(time_s=T0 - 240, what="change", text="deploy api v1.42"),
        *first.moments,
        Moment(time_s=T0 + 30, what="suspect", text="api 0.86"),
    )
    worse = anomaly(observed=0.31, severity="critical", title="checkout: error ratio 31 %")
    return replace(
        first, title=worse.title, severity="critical", updated_s=T0 + 30, anomalies=(worse,),
        changes=(DEPLOY,), suspects=(suspect(), replace(DATABASE, score=0.08)), moments=news,
    )  # fmt: skip


def resolved() -> Incident:
    after = ranked()
    return replace(
        after, state="resolved", resolved_s=T0 + 840, updated_s=T0 + 840,
        anomalies=(replace(after.anomalies[0], ended_s=T0 + 800, recent=(0.31, 0.1, 0.006)),),
        moments=(*after.moments, Moment(time_s=T0 + 840, what="resolved", text="all recovered")),
    )  # fmt: skip


def acting() -> Run:
    return Run(
        id="INC-2041/rollback/1", incident="INC-2041", playbook="rollback-after-bad-deploy",
        digest="3e9a1c4f00112233", target="shop/api", started_s=T0 + 60,
        steps=(
            StepRecord(id="evidence", do="collect.logs", state="done"),
            StepRecord(id="back", do="k8s.rollout_undo", state="started"),
        ),
        moments=(
            Moment(time_s=T0 + 60, what="run", text="rollback-after-bad-deploy on shop/api"),
            Moment(time_s=T0 + 62, what="apply", text="back: k8s.rollout_undo"),
        ),
    )  # fmt: skip


def verifying() -> Run:
    run = acting()
    steps = (run.steps[0], replace(run.steps[1], state="done"))
    news = Moment(time_s=T0 + 120, what="verify", text="pass 1 of 3: error ratio 4 %")
    return replace(run, state="verifying", steps=steps, moments=(*run.moments, news))


def healed() -> Run:
    run = verifying()
    news = Moment(time_s=T0 + 180, what="healed", text="error ratio 31 % to 0.6 %")
    return replace(
        run, state="closed", outcome="healed", ended_s=T0 + 180, moments=(*run.moments, news)
    )


def made_worse() -> Run:
    run = verifying()
    steps = (run.steps[0], replace(run.steps[1], state="undone", error="p99 rose to 4 s"))
    news = Moment(time_s=T0 + 170, what="made_worse", text="p99 1.9 s to 4 s; put back")
    return replace(
        run, state="closed", outcome="made_worse", ended_s=T0 + 180, steps=steps,
        moments=(*run.moments, news),
    )  # fmt: skip


def hostile(text: str = HOSTILE) -> tuple[Incident, Run]:
    """Every text that comes from outside is this one."""
    bad = Reason(code="x", text=text)
    incident = replace(
        ranked(), title=text, services=(text,), anomalies=(anomaly(title=text, service=text),),
        suspects=(suspect(id=text, reasons=(bad,), against=(bad,), change=None),),
        moments=(Moment(time_s=T0, what="anomaly", text=text),),
    )  # fmt: skip
    step = StepRecord(id=text, do=text, state="failed", error=text)
    run = replace(
        acting(), playbook=text, target=text, digest=text, steps=(step,),
        moments=(Moment(time_s=T0 + 1, what=text, text=text),),
    )  # fmt: skip
    return incident, run


def endless() -> tuple[Incident, list[Run]]:
    """As much of everything as the house lets through, and every text too long."""
    long = "&<>`*_" * 500
    bad = tuple(Reason(code="x", text=long) for _ in range(5))
    incident = replace(
        ranked(), title=long, services=tuple(f"{long}{n}" for n in range(50)),
        anomalies=tuple(anomaly(id=f"{n}", title=long) for n in range(200)),
        suspects=tuple(suspect(id=f"{long}{n}", reasons=bad, against=bad) for n in range(50)),
        moments=tuple(Moment(time_s=T0 + n, what="anomaly", text=long) for n in range(200)),
    )  # fmt: skip
    steps = tuple(StepRecord(id=f"{long}{n}", do="x", state="done", error=long) for n in range(50))
    runs = [
        replace(healed(), id=f"r-{n}", playbook=long, target=long, steps=steps) for n in range(20)
    ]
    return incident, runs

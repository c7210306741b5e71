"""Every constant of the ranking, with its reason. Nats unless said otherwise.

Random draws of these weights from wide ranges rank almost as well (docs/benchmarks.md): what
carries is the structure. None is fitted to one system.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    # --- how strange is one series ---
    high: float = 0.95  # quantile of the past that a deviation has to exceed
    over_high: float = 0.7  # of the way from median to it: a rare past high hides no new one
    parts: int = 5  # rows that a part of the past needs, to speak for itself
    range_share: float = 0.08  # of the past range is the smallest scale: what wanders is not calm
    peer_share: float = 0.05  # of the peers' level: a tiny service may double its memory
    quiet: float = 0.9  # quantile of the same statistic at quiet moments, by metric name
    cap: float = 60.0  # more scales than this say no more
    lag_secs: float = 240.0  # a detection may lag its onset so much
    walk: float = 0.25  # of the peak of the SLI: still odd
    # --- what a family of metrics says: causes more than symptoms ---
    resource: float = 1.0
    queue: float = 1.0
    restarts: float = 1.0
    loss: float = 1.0
    flow: float = 0.5  # work done follows the load
    latency: float = 1.0
    errors: float = 1.15  # rarer without reason than slowness
    load: float = 0.4  # more often effect than cause
    good_way: float = 0.35  # a resource that is used less than usual
    second: float = 0.35  # second side (resource beside symptom): partly the same fact
    further: float = 0.12  # second and third resource
    few_calls: float = 5.0  # a row, at which a symptom counts half
    bare: float = 0.1  # a symptom before explaining: being hit at all
    # --- explaining away ---
    floor: float = 0.15  # never explain all of it away: measurements are not that good
    soon_rows: float = 3.0  # in which the first rows outweigh later ones: retries come after
    timeouts: float = 0.8  # of a caller's errors that a slow callee may explain, or a dead one
    drowned: float = 0.6  # taken off who got more to do after one above it was strange
    loaded: float = 0.3  # taken off a resource that follows its own load; more hurts real hogs
    alias: float = 0.8  # evidence seen through a view node
    view: float = 0.5  # a view is not code that one could fix
    # --- time and place ---
    earliest: float = (
        0.3  # share more for who was first; more hurts: at coarse steps noise is first
    )
    earliest_secs: float = 60.0
    strong: float = 3.0  # deviations that date an onset
    late_secs: float = 120.0  # no cause starts after its effect; but clocks and scrapes differ
    late_floor: float = 0.4
    profile: float = 0.5  # share that needs to move together with the SLI
    cause_first: float = 0.3  # a minute, among metrics of one service: causes before effects
    cause_family: float = 2.0  # a resource of the root that is surely strange is its cause
    cause_loaded: float = 0.4  # taken off that where the root got more to do
    unreachable: float = 0.4  # not called from the target, as far as the topology knows
    other_question: float = 0.5  # latency when the SLI is availability, and the reverse
    # --- other sources ---
    missing: float = 0.25  # of the log-likelihood ratio: rows are missing together
    missing_cap: float = 3.0
    gone_unmissed: float = 0.3  # times, where no caller suffers: perhaps nobody called it
    gone_and_missed: float = (
        1.5  # times more, where its callers suffer: not only an exporter is dead
    )
    lines: float = 1.5  # a new error line tells why
    lines_cap: float = 4.0
    vague_lines: float = 0.4  # "request failed" says that, not why
    line_takes_back: float = 0.9  # of blame on one that waits for its own callee, or drowns
    spans: float = 4.0  # spans see single requests: the sharpest source where there are any
    error_spans: float = 0.3
    fast_spans: float = 0.4  # spans saw no change: percentiles of few calls were wrong


WEIGHTS = Weights()

"""What changed in a distribution, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from aiopsd.detectors import words
from aiopsd.detectors.distribution import divergence
from aiopsd.detectors.distribution.shape import SAME, Plan, Shape
from aiopsd.model import Floats

TOLD: Final = 3  # cells


def terms(shape: Shape) -> Floats:
    """What each cell adds to the index of the last window."""
    return divergence.psi_terms(shape.now, shape.before)


def sentences(shape: Shape, plan: Plan) -> Sequence[str]:
    """Of the last window that was judged; that the layout is new, where that is all."""
    told = []
    if shape.changed_s is not None and shape.seen < plan.windows:
        told.append("its buckets are others than before: what was learned of the old ones is "
                    f"dropped, {shape.seen} windows since")  # fmt: skip
    if math.isnan(shape.value) or not shape.before.sum() > 0:
        return told
    told += _direction(shape) if plan.form == "histogram" else _distance(shape)
    changed = np.argsort(-terms(shape), kind="stable")[:TOLD]
    told.append("most changed: " + ", ".join(_cell(shape, int(at), plan) for at in changed))
    counts = f"{words.amount(shape.now.sum(), '')} against {words.amount(shape.before.sum(), '')}"
    against = " of the same time of day" if shape.which == SAME else ""
    told.append(f"{counts} events{against}, {_running(shape.run)}; p {shape.rare:.1g} by chance")
    return told


def _running(run: int) -> str:
    return f"{run} windows running" if run != 1 else "this window"


def _direction(shape: Shape) -> list[str]:
    """Means of bucket numbers say which way; quantiles say how far."""
    place, bounds = np.arange(len(shape.cells)), np.array(shape.cells)
    now, before = ((c * place).sum() / c.sum() for c in (shape.now, shape.before))
    way = "up" if now > before else "down"
    ends = []
    for name, q in (("p50", 0.5), ("p95", 0.95)):
        was, is_ = (divergence.quantile(bounds, c, q) for c in (shape.before, shape.now))
        ends.append(f"{name} {words.amount(was, '')} to {words.amount(is_, '')}")
    return [f"moved {way}: {', '.join(ends)}; PSI {shape.value:.2g}"]


def _distance(shape: Shape) -> list[str]:
    apart = divergence.jensen_shannon(shape.now, shape.before)
    return [f"shares differ by up to {words.amount(shape.value, 'ratio')}; "
            f"Jensen-Shannon distance {apart:.2g}"]  # fmt: skip


def _cell(shape: Shape, at: int, plan: Plan) -> str:
    was, is_ = (
        words.amount(float(c[at] / c.sum()) if c.sum() else 0.0, "ratio")
        for c in (shape.before, shape.now)
    )
    if plan.form == "classes":
        return f"{shape.cells[at]} {was} to {is_}"
    low = f"{shape.cells[at - 1]:g}" if at else ""
    span = f"{low} to {shape.cells[at]:g}" if low else f"up to {shape.cells[at]:g}"
    if low and not math.isfinite(shape.cells[at]):
        span = f"above {low}"
    return f"{span} ({was} to {is_})"

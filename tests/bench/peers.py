"""What others do, for comparison: each reads one file and says how strange every row is.

All get the same kind treatment: what they would say is said once an event (``told_once``), and
several columns are joined as ours are, except where the method has a way of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aiopsd.model import Floats
from tests.bench.accuracy import Detector, Flags, Said

DAY = 86_400.0
REARM_SECS = DAY / 2
STRONGER = 3.0
WARN = 0.75  # of the limit: from here on a severity is given, for whoever looks for a better limit


def said(times_s: Floats, strength: Floats, limit: float) -> Said:
    """Strength 0 and up; at the limit the score is one half."""
    strength = np.nan_to_num(strength, posinf=1e12)

    def at(score: float) -> Flags:
        return told_once(times_s, strength, limit * score / (1 - score)) > 0

    alert = told_once(times_s, strength, WARN * limit)
    return Said(strength / (strength + limit), alert / (alert + limit), at(0.5), at)


def told_once(times_s: Floats, strength: Floats, limit: float) -> Floats:
    """The strength where news is: half a day after the last, or three times as strong."""
    news, last_s, peak = np.zeros(len(strength)), -np.inf, 0.0
    for row in np.flatnonzero(strength >= limit).tolist():
        if times_s[row] - last_s > REARM_SECS or strength[row] > STRONGER * peak:
            news[row] = peak = strength[row]
            last_s = times_s[row]
    return news


def by_column(of_one: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    """Each column by itself, then the mean of the strangest quarter of them."""

    def strength(times_s: Floats, values: Floats) -> Floats:
        each = np.sort([of_one(times_s, column) for column in _filled(values).T], axis=0)
        return np.asarray(each[-(-len(each) // 4) * -1 :].mean(axis=0))

    return strength


def _filled(values: Floats) -> Floats:
    """A missing value is the one before it: none of these methods knows gaps."""
    return np.asarray(pd.DataFrame(values).ffill().fillna(0.0).to_numpy(np.float64))


def _a_day(times_s: Floats) -> int:
    step_secs = float(np.median(np.diff(times_s))) or 60.0
    return int(np.clip(DAY / step_secs, 24, 1440))


# --- rolling robust z -------------------------------------------------------------------


def _robust_z(times_s: Floats, x: Floats) -> Floats:
    """Distance from the median of the day before, in units of its quartile range."""
    window = pd.Series(x).rolling(_a_day(times_s), min_periods=20)
    low, middle, high = (window.quantile(q).shift(1).to_numpy() for q in (0.25, 0.5, 0.75))
    spread = np.maximum((high - low) / 1.349, np.maximum(1e-3 * np.abs(middle), 1e-9))
    return np.nan_to_num(np.abs(x - middle) / spread)


# --- Netdata's way ----------------------------------------------------------------------

LAGS, SMOOTH, MODELS, CENTRES = 5, 3, 9, 2


def _k_means(times_s: Floats, x: Floats) -> Floats:
    """2-means of smoothed differences and their lags, learned anew each quarter day.

    As Netdata's agent: a sample is strange where it is farther from both centres than 99 % of
    what each of the last models was made of; the strength is the share of strange among the last
    samples, and the distance adds the fraction.
    """
    day = _a_day(times_s)
    features = _lagged(np.diff(x, prepend=x[0]))
    every, models = max(day // 4, 6), list[tuple[Floats, float]]()
    distance = np.zeros(len(x))
    for begin in range(0, len(x), every):
        block = features[begin : begin + every]
        if models:
            distance[begin : begin + every] = np.min([_far(block, m) for m in models], axis=0)
        if begin + every >= day:
            models.append(_fit(features[max(0, begin + every - day) : begin + every]))
            del models[:-MODELS]
    strange = pd.Series(distance >= 1).rolling(5, min_periods=1).mean().to_numpy()
    return np.asarray(strange * np.minimum(distance, 10.0))


def _lagged(differences: Floats) -> Floats:
    smooth = pd.Series(differences).rolling(SMOOTH, min_periods=1).mean()
    return np.stack([smooth.shift(lag).fillna(0.0).to_numpy() for lag in range(LAGS + 1)], axis=1)


def _fit(rows: Floats) -> tuple[Floats, float]:
    """Two centres by Lloyd's steps from the calmest and the wildest row, and their 99 % reach."""
    norm = np.abs(rows).sum(axis=1)
    centres = rows[[norm.argmin(), norm.argmax()]].copy()
    for _ in range(20):
        nearest = _distances(rows, centres).argmin(axis=1)
        for one in range(CENTRES):
            if (nearest == one).any():
                centres[one] = rows[nearest == one].mean(axis=0)
    return centres, float(np.quantile(_distances(rows, centres).min(axis=1), 0.99))


def _distances(rows: Floats, centres: Floats) -> Floats:
    return np.asarray(np.sqrt(((rows[:, None, :] - centres) ** 2).sum(axis=2)))


def _far(rows: Floats, model: tuple[Floats, float]) -> Floats:
    centres, reach = model
    return np.asarray(_distances(rows, centres).min(axis=1) / max(reach, 1e-9))


# --- river, one sample after the other --------------------------------------------------


def _half_space_trees(times_s: Floats, values: Floats) -> Floats:
    """On all columns at once; the strength is how far the score is above its 99.5 % quantile."""
    from river import anomaly, preprocessing, stats

    scaler, trees = preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(seed=1)
    usual, found = stats.Quantile(0.995), np.zeros(len(values))
    for row, numbers in enumerate(_filled(values).tolist()):
        sample = dict(enumerate(numbers))
        scaler.learn_one(sample)
        scaled = scaler.transform_one(sample)
        score = trees.score_one(scaled)
        limit = usual.get() or 1.0
        found[row] = score / limit if row >= trees.window_size else 0.0
        usual.update(score)
        trees.learn_one(scaled)
    return found


def _naive(times_s: Floats, x: Floats) -> Floats:
    """prometheus-api-client's metric objects, and a river Gaussian that takes each sample."""
    from prometheus_api_client import MetricsList
    from river import anomaly

    pairs = [[t, repr(v)] for t, v in zip(times_s.tolist(), x.tolist(), strict=True)]
    (metric,) = MetricsList([{"metric": {"__name__": "x"}, "values": pairs}])
    scorer = anomaly.GaussianScorer(grace_period=100)
    found = np.zeros(len(x))
    for row, (_, value) in enumerate(metric.metric_values.itertuples(index=False)):
        found[row] = -np.log10(max(1 - scorer.score_one(None, value), 1e-16))
        scorer.learn_one(None, value)
    return found


PEERS: dict[str, Detector] = {
    "rolling robust z": lambda t, v: said(t, by_column(_robust_z)(t, v), 10.0),
    "Netdata-style k-means": lambda t, v: said(t, by_column(_k_means)(t, v), 1.0),
    "river HalfSpaceTrees": lambda t, v: said(t, _half_space_trees(t, v), 1.0),
    "naive: p-a-c + river Gaussian": lambda t, v: said(t, by_column(_naive)(t, v), 4.0),
}

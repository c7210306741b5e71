"""When a series will reach its limit, and how sure that is.

All is done in shares of the way from ``start`` to ``limit``, so that the limit is 1 and up. Lines
are fitted over ``history`` and, for what runs away, over an eighth of it; each looks ahead as
many times its own length. Where a series has been and come back from is no news: a log that is
rotated, a swing by day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiopsd.detectors.groups.families import INSIDE
from aiopsd.detectors.trends.blocks import Blocks
from aiopsd.model import Batch, Floats, Indexes, Labels, Scores
from aiopsd.rows import At, Column, Rows, pack, unpack
from aiopsd.settings import Duration, Settings

FINE: Final = 8  # the short line is so much shorter
R2: Final = 0.3
SLOWED: Final = 1 / 3  # of the slope; a short line less steep says that it is over
GAUSS: Final = 1.25  # standard deviation of a Gaussian, by its mean deviation
ON_LINE: Final = 3.0  # spreads below its line: it has slowed down
SURE: Final = 1.645  # standard errors: nine in ten
WANDERS: Final = 3.0  # deviations of a walk until then: so far it may come by chance
HOLD: Final = 1.5  # times horizon, and less of all else, while it lasts
MUTED_SECS: Final = 1800.0  # after a drop
DROP: Final = 0.1  # of what was there; less is noise
FARTHER: Final = 0.1  # of what was left above the highest of the week, to be news
STEEPER: Final = 2.0  # than any climb of the week: news, even where it has been before
DAYS: Final = 8  # remembered
DAY: Final = 86400.0
RANGE: Final = 4.0  # shares; what is farther off is as good as there
NEVER: Final = -1e18
UNITS: Final = (DAY, "d"), (3600.0, "h"), (60.0, "min")

Flags = NDArray[np.bool_]


class ForecastSettings(Settings, frozen=True, kw_only=True, tag="forecast"):
    """A limit above ``start`` is reached by growing, one below it by shrinking."""

    limit: float
    start: float = 0.0  # where nothing is used
    horizon: Duration = Duration(86400)
    history: Duration = Duration(6 * 3600)
    at_least: float = 0.6  # of the way

    def __post_init__(self) -> None:
        way = self.limit - self.start
        if not np.isfinite([self.limit, self.start, way]).all() or not np.isfinite(1 / (way or 1)):
            raise ValueError("`limit` and `start` must be finite numbers of a sensible size")
        if way == 0:
            raise ValueError(f"`limit: {self.limit:g}` is where it starts: say `start`, the value "
                             "at which nothing is used")  # fmt: skip
        if not 600 <= self.history <= 30 * DAY:
            raise ValueError(f"`history: {self.history}` must be from 10m to 30d")
        if not 0 < self.horizon <= 20 * self.history:
            raise ValueError(f"`horizon: {self.horizon}` must be more than 0s and at most 20 times "
                             f"`history: {self.history}`: nobody can see farther")  # fmt: skip
        if not 0 <= self.at_least < 1:
            raise ValueError(f"`at_least: {self.at_least:g}` must be a share from 0 to below 1")

    def build(self, labels: Callable[[int], Labels]) -> Forecast:  # noqa: ARG002 - as all members
        return Forecast(self)


class Outlook(NamedTuple):
    """What one line says; shares and seconds."""

    speaks: Flags
    score: Floats
    eta: Floats
    soonest: Floats
    latest: Floats
    level: Floats
    harmless: Floats  # the level from which this slope would need the whole horizon
    slope: Floats


class Forecast:
    """See the module; ``observe`` is one tick of any of the series."""

    def __init__(self, settings: ForecastSettings) -> None:
        self.settings = settings
        self._way = settings.limit - settings.start
        history = float(settings.history)
        self._lines = Blocks("long", history), Blocks("short", history / FINE)
        self._horizons = float(settings.horizon), float(settings.horizon) / FINE
        self._rows = self._new_rows()

    def _new_rows(self) -> Rows:
        columns = {name: one for line in self._lines for name, one in line.columns().items()}
        return Rows(
            n=Column(), born=Column(np.nan), last=Column(np.nan), muted=Column(NEVER),
            warned=Column(0, np.bool_), day=Column(NEVER), peaks=Column(-RANGE, np.float32, DAYS),
            climbs=Column(0.0, np.float32, DAYS), climb=Column(),
            eta=Column(np.nan), soonest=Column(np.nan), latest=Column(np.nan), rate=Column(np.nan),
            **columns,
        )  # fmt: skip

    def observe(self, batch: Batch) -> Scores:
        """Expected is where the line is; the band ends where this slope would be harmless."""
        rows, at, now = self._rows, self._rows.of(batch.series), batch.time_s
        ok = np.isfinite(batch.values)
        with np.errstate(over="ignore"):
            way = np.where(ok, batch.values, self.settings.start) - self.settings.start
            share = np.clip(way / self._way, -RANGE, RANGE)
        self._remember(at, now)
        self._drop(at[ok], share[ok], now)
        scores = self._scores(batch, at, ok, share)
        for line in self._lines:
            line.add(rows, at[ok], share[ok])
        rows["last"][at[ok]] = share[ok]
        rows["n"][at] += ok
        return scores

    # --- what was -----------------------------------------------------------------------

    def _remember(self, at: At, now: float) -> None:
        """Closes blocks that are over; highest and steepest of each day of the week before."""
        rows, day = self._rows, np.floor(now / DAY)
        passed = np.abs(day - rows["day"][at])
        for n in range(1, DAYS + 1) if passed.any() else ():
            some = at[(passed >= n) & (rows["day"][at] != NEVER)]
            place = int((day - n + 1) % DAYS)
            rows["peaks"][some, place], rows["climbs"][some, place] = -RANGE, 0.0
        rows["day"][at] = day
        long, short = self._lines
        turned, left = long.turn(rows, at, now)
        self._note("peaks", turned, left, now)
        turned, _ = short.turn(rows, at, now)
        slope = rows["short_slope"][turned]
        climbs = rows["short_known"][turned] & (rows["short_r2"][turned] > R2) & (slope > 0)
        over = turned[~climbs]
        self._note("climbs", over, rows["climb"][over], now)
        rows["climb"][over] = 0.0
        rows["climb"][turned[climbs]] = np.maximum(rows["climb"][turned], slope)[climbs]

    def _note(self, what: str, at: At, value: Floats, now: float) -> None:
        place = int(np.floor(now / DAY) % DAYS)
        self._rows[what][at, place] = np.maximum(self._rows[what][at, place], value)

    def _drop(self, at: At, share: Floats, now: float) -> None:
        """After a clean-up all begins anew, but for how high it was."""
        rows, short = self._rows, self._lines[1]
        base = np.fmin(rows["last"][at], short.newest(rows, at))
        least = np.maximum(DROP * base, 4 * rows["short_spread"][at] * rows["short_known"][at])
        fell = base - share > np.maximum(least, 0.01)
        if not fell.any():
            return
        at = at[fell]
        peak = np.maximum.reduce([line.highest(rows, at) for line in self._lines])
        self._note("peaks", at, np.fmax(peak, rows["last"][at]), now)
        self._note("climbs", at, rows["climb"][at], now)
        rows["climb"][at], rows["muted"][at] = 0.0, now + MUTED_SECS
        for line in self._lines:
            line.clear(rows, at)

    # --- what will be -------------------------------------------------------------------

    def _scores(self, batch: Batch, at: At, ok: Flags, share: Floats) -> Scores:
        rows, full = self._rows, ok & (share >= 1)
        views = [self._look(n, at, share, batch.time_s) for n in (0, 1)]
        pick = views[1].score > views[0].score
        one = Outlook(*(np.where(pick, b, a) for a, b in zip(*views, strict=True)))
        horizon = np.where(pick, self._horizons[1], self._horizons[0])
        score = np.where(full, 1.0, one.score) * ok
        self._keep(at, ok, one, score, full)
        edge = self.settings.start + self._way * np.clip(one.harmless, 0.0, 1.0)
        start = np.full(len(at), self.settings.start)
        # Who has not lived a day has not shown where it comes back from.
        rows["born"][at] = np.fmin(rows["born"][at], batch.time_s)
        grown = batch.time_s - rows["born"][at] >= DAY
        expected = np.where(np.isnan(one.level), share, one.level)
        return Scores(
            rule=batch.rule,
            time_s=batch.time_s,
            series=batch.series,
            score=score,
            observed=np.where(ok, batch.values, np.nan),
            expected=self.settings.start + self._way * np.clip(expected, -RANGE, RANGE),
            low=np.minimum(start, edge),
            high=np.maximum(start, edge),
            samples=rows["n"][at].astype(np.int32),
            certain=ok & (full | (grown & one.speaks & (score >= 0.5) & (one.latest < horizon))),
            history=batch.history,
        )

    def _look(self, n: int, at: At, share: Floats, now: float) -> Outlook:
        rows, line, settings = self._rows, self._lines[n], self.settings
        slope, spread, error, walk = (
            rows[f"{line.name}_{w}"][at] for w in ("slope", "spread", "error", "walk")
        )
        known, doubt = rows[f"{line.name}_known"][at], line.doubt(rows, at)
        error = np.hypot(error, GAUSS * doubt)
        level = np.where(
            known, rows[f"{line.name}_level"][at] + slope * line.since(rows, at, now), np.nan
        )
        more = np.where(rows["warned"][at], HOLD, 1.0)
        horizon = self._horizons[n] * more
        with np.errstate(divide="ignore", invalid="ignore"):
            eta = np.where(slope > 0, np.maximum(1 - level, 0.0) / slope, np.inf)
            walked = SURE * np.sqrt(walk * np.minimum(eta, horizon))
            off = 2 * spread + walked
            soonest = (1 - level - off) / (slope + SURE * error)
            latest = (1 - level + off) / np.maximum(slope - SURE * error, 0.0)
        eta = np.where(known, eta, np.inf)
        score = np.where(np.isfinite(eta), horizon / (horizon + eta), 0.0)
        here, goes_on = self._now(at, share, slope, now)
        speaks = known & (slope > 0) & (rows[f"{line.name}_r2"][at] > R2 / more) & goes_on
        speaks &= slope > doubt / more
        speaks &= 1 - level > WANDERS / SURE * walked / more
        speaks &= (here > settings.at_least / more) & (now >= rows["muted"][at])
        speaks &= here >= level - ON_LINE * spread - 0.001
        peak = rows["peaks"][at].max(axis=1)
        been = here <= peak + FARTHER * np.maximum(1 - peak, 0.0)
        speaks &= ~been | (slope > STEEPER * rows["climbs"][at].max(axis=1)) | rows["warned"][at]
        return Outlook(
            speaks, np.where(speaks, score, np.minimum(score, INSIDE)), eta,
            np.maximum(soonest, 0.0), np.maximum(latest, 0.0), level,
            np.where(known, 1 - np.maximum(slope, 0.0) * horizon, 1.0), slope,
        )  # fmt: skip

    def _now(self, at: At, share: Floats, slope: Floats, now: float) -> tuple[Floats, Flags]:
        """Where it is by the short line, less noisy than one sample; and does it still climb?"""
        rows, short = self._rows, self._lines[1]
        known, recent = rows["short_known"][at], rows["short_slope"][at]
        here = rows["short_level"][at] + recent * short.since(rows, at, now)
        climbs = recent + SURE * rows["short_error"][at] >= SLOWED * slope
        return np.where(known, here, share), climbs | ~known

    def _keep(self, at: At, ok: Flags, one: Outlook, score: Floats, full: Flags) -> None:
        rows, at = self._rows, at[ok]
        rows["warned"][at] = score[ok] >= 0.5
        rows["eta"][at] = np.where(full, 0.0, one.eta)[ok]
        rows["soonest"][at], rows["latest"][at] = one.soonest[ok], one.latest[ok]
        rows["rate"][at] = one.slope[ok] * self._way

    def arrival(self, series: int) -> tuple[float, float, float, float] | None:
        """The limit, and the seconds until then: likely, at the soonest, at the latest (infinite:
        perhaps never). None where nothing speaks for it."""
        at = int(self._rows.find(np.array([series], np.int32))[0])
        if at < 0 or not np.isfinite(self._rows["eta"][at]):
            return None
        eta, soonest, latest = (float(self._rows[one][at]) for one in ("eta", "soonest", "latest"))
        return self.settings.limit, eta, soonest, latest

    def explain(self, series: int) -> Sequence[str]:
        """Such as ``reaches 100 G in 5.2 h (4.1 to 7 h) at +1.9 G/h``."""
        at = int(self._rows.find(np.array([series], np.int32))[0])
        if at < 0 or not np.isfinite(self._rows["eta"][at]):
            return ()
        eta, soonest, latest, rate = (
            float(self._rows[name][at]) for name in ("eta", "soonest", "latest", "rate")
        )
        limit = _short(self.settings.limit)
        if eta == 0:
            return (f"has reached {limit}",)
        size, unit = next(one for one in UNITS if eta >= 2 * one[0] or one is UNITS[-1])
        early, late = _two(soonest / size), _two(latest / size)
        until = f"{early} to {late} {unit}" if np.isfinite(latest) else f"{early} {unit} or never"
        return (f"reaches {limit} in {_two(eta / size)} {unit} ({until}) "
                f"at {_short(3600 * rate, '+')}/h",)  # fmt: skip

    # --- keeping ------------------------------------------------------------------------

    def forget(self, series: Indexes) -> None:
        self._rows.forget(series)

    def save(self) -> bytes:
        return pack("forecast", 1, self._meaning(), self._rows.save())

    def _meaning(self) -> tuple[float, float, float]:
        return self.settings.limit, self.settings.start, float(self.settings.history)

    def load(self, saved: bytes) -> None:
        """Raises ValueError on garbage. Shares of another way are dropped."""
        meaning, saved_rows = unpack("forecast", 1, saved, tuple[tuple[float, float, float], bytes])
        rows = self._new_rows()
        if meaning == self._meaning():
            rows.load(saved_rows)
        self._rows = rows


def _short(number: float, sign: str = "-") -> str:
    """Three digits and a prefix: ``100 G``, ``+1.9 M``, ``0.042``."""
    size, prefix = next(
        ((s, p) for s, p in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"))
         if abs(number) >= 0.9995 * s), (1.0, ""),
    )  # fmt: skip
    return f"{float(f'{number / size:.3g}'):{sign}g}{prefix}"


def _two(number: float) -> str:
    """Two digits."""
    return f"{float(f'{number:.2g}'):g}"

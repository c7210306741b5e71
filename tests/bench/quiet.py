"""Series on which nothing is wrong, of the kinds that real ones are made of, block by block.

What depends on the time of day or week does so at any sampling; noise, walks and switches are a
matter of ticks, as they are for whoever looks only at ticks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from scipy.signal import lfilter

from aiopsd.model import Floats

DAY = 86_400.0
MONDAY_S = 1_704_067_200.0  # 2024-01-01 00:00 UTC
Random: TypeAlias = np.random.Generator
Block: TypeAlias = Callable[[Floats], Floats]  # times [ticks] -> values [ticks, n]
Make: TypeAlias = Callable[[Random, int], Block]


def _of(draw: Callable[[Random, tuple[int, int]], Floats]) -> Make:
    """Independent draws."""
    return lambda random, n: lambda times_s: np.asarray(draw(random, (len(times_s), n)), np.float64)


def _sparse(random: Random, n: int) -> Block:
    """Nothing for minutes or hours, then a few at once: errors, jobs, mails."""
    rate, size = random.uniform(0.002, 0.05, n), random.uniform(1, 20, n)

    def block(times_s: Floats) -> Floats:
        shape = len(times_s), n
        return np.asarray((random.random(shape) < rate) * (1 + random.poisson(size, shape)), float)

    return block


def _ar(decay: float) -> Make:
    def make(random: Random, n: int) -> Block:
        state = random.standard_normal((1, n)) * decay

        def block(times_s: Floats) -> Floats:
            nonlocal state
            shocks = random.standard_normal((len(times_s), n)) * np.sqrt(1 - decay**2)
            values, state = lfilter([1.0], [1.0, -decay], shocks, axis=0, zi=state)
            return 50 + 5 * np.asarray(values)

        return block

    return make


def _walk(random: Random, n: int) -> Block:
    level = np.full(n, 1000.0)

    def block(times_s: Floats) -> Floats:
        nonlocal level
        values = level + np.cumsum(random.standard_normal((len(times_s), n)), axis=0)
        level = values[-1]
        return values

    return block


def _daily(random: Random, n: int) -> Block:
    """A sine whose height differs a little from day to day."""
    phase, days = random.uniform(0, 2 * np.pi, n), np.cumsum(random.normal(0, 0.025, (400, n)), 0)

    def block(times_s: Floats) -> Floats:
        day = ((times_s - MONDAY_S) // DAY).astype(int)
        wave = np.sin(2 * np.pi * times_s[:, None] / DAY + phase)
        return 100 + 30 * (1 + days[day]) * wave + 4 * random.standard_normal((len(times_s), n))

    return block


def _weekly(random: Random, n: int) -> Block:
    """A sine on working days, three fifths of it at weekends."""
    phase = random.uniform(0, 2 * np.pi, n)

    def block(times_s: Floats) -> Floats:
        works = np.where(((times_s - MONDAY_S) // DAY) % 7 < 5, 1.0, 0.6)[:, None]
        wave = np.sin(2 * np.pi * times_s[:, None] / DAY + phase)
        return (100 + 30 * wave) * works + 4 * random.standard_normal((len(times_s), n))

    return block


def _drift(random: Random, n: int) -> Block:
    slope = random.uniform(-3, 3, n) / DAY  # at most half a deviation a day

    def block(times_s: Floats) -> Floats:
        line = (times_s - MONDAY_S)[:, None] * slope
        return 50 + line + 5 * random.standard_normal((len(times_s), n))

    return block


def _on_off(random: Random, n: int) -> Block:
    """A worker that is busy or not, for some 50 ticks each."""
    on = random.random(n) < 0.5

    def block(times_s: Floats) -> Floats:
        nonlocal on
        flips = np.cumsum(random.random((len(times_s), n)) < 0.02, axis=0) % 2 == 1
        states = on ^ flips
        on = states[-1]
        return 50 * states + 2 * random.standard_normal(states.shape)

    return block


QUIET: dict[str, Make] = {
    "Gaussian": _of(lambda random, shape: 50 + 5 * random.standard_normal(shape)),
    "t3": _of(lambda random, shape: 50 + 5 * random.standard_t(3, shape)),
    "lognormal": _of(lambda random, shape: random.lognormal(1.0, 0.7, shape)),
    "Poisson .3": _of(lambda random, shape: random.poisson(0.3, shape)),
    "Poisson 20": _of(lambda random, shape: random.poisson(20, shape)),
    "sparse": _sparse,
    "daily": _daily,
    "weekly": _weekly,
    "drift": _drift,
    "AR .9": _ar(0.9),
    "AR .99": _ar(0.99),
    "random walk": _walk,
    "on/off": _on_off,
}

"""Logs of services with which nothing is wrong, and all that happens to such logs all the same.

Days and nights, weekends, spikes of traffic; single errors, stack traces of seconds, scans by bots;
jobs by the hour and by night with failed items; bursts of debug lines; restarts with banners and a
few lines of failure; releases that bring new lines, drop old ones and word others anew; pauses of
whoever ships the lines. Times are virtual.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Final

from aiopsd.model import Labels, LogLine

BEGIN_S: Final = 1_704_067_200.0  # Monday, 2024-01-01 00:00 UTC
DAY: Final = 86_400.0
HOUR: Final = 3600.0
SHIPPING_SECS: Final = 12.0  # a pause of whoever ships the lines

WORDS: Final = (
    "order", "cart", "stock", "price", "invoice", "user", "basket", "refund", "voucher", "parcel",
    "label", "address", "mail", "report", "page", "image", "index", "shelf", "route", "batch",
)  # fmt: skip
DONE: Final = (
    "loaded", "stored", "sent", "packed", "synced", "priced", "merged", "booked", "copied",
)  # fmt: skip


class Service:
    """Its own mix of lines, pace, habits and luck. ``events`` of the future are drawn once."""

    def __init__(self, name: str, seed: int, rate: float, style: str) -> None:
        self.labels: Labels = {"service": name, "host": f"h{seed % 3}"}
        self.rate, self.style, self._draw = rate, style, Random(seed)
        self.release, self._requests = 1, 0
        self._plain = [self._kind() for _ in range(12)]
        self._errors = [self._trouble() for _ in range(4)]
        self._later: list[tuple[float, str, str]] = []  # when, level, text
        self._next = {
            what: self._wait(mean)
            for what, mean in (
                ("trace", 0.4 * DAY), ("scan", 0.5 * DAY), ("debug", 2 * DAY),
                ("restart", 1.5 * DAY), ("spike", 0.7 * DAY), ("late", 0.3 * DAY),
            )
        }  # fmt: skip
        self._spike_until = self._up = self.held_until = 0.0

    def _kind(self) -> str:
        noun, verb = self._draw.choice(WORDS), self._draw.choice(DONE)
        return self._draw.choice(
            (f"{noun} {{n}} {verb} in {{ms}} ms", f"{verb} {noun} {{n}} for u{{n}}",
             f"{noun} cache {verb}, {{n}} entries", f"GET /{noun}/{{n}} 200 {{ms}}ms")
        )  # fmt: skip

    def _trouble(self) -> str:
        noun = self._draw.choice(WORDS)
        return self._draw.choice(
            (f"{noun} {{n}} could not be saved: deadlock", f"timeout of {noun} after {{n}} ms",
             f"upstream {noun} reset the connection", f"{noun} {{n}} rejected: invalid state")
        )  # fmt: skip

    def _wait(self, mean_secs: float) -> float:
        return self._draw.expovariate(1 / mean_secs)

    def lines(self, now: float, secs: float) -> list[tuple[float, str]]:
        """Of the ``secs`` before ``now`` (seconds since the beginning)."""
        draw = self._draw
        self._happen(now)
        pace = self.rate * _rhythm(now) * (4.0 if now < self._spike_until else 1.0)
        pace *= now >= self._up
        found = [self._usual() for _ in range(_poisson(draw, pace * secs))]
        found += [("error", self._fill(draw.choice(self._errors)))
                  for _ in range(_poisson(draw, 3e-4 * (0.2 + pace) * secs))]  # fmt: skip
        found += [("warning", self._fill(f"slow {WORDS[3]} {{n}}: {{ms}}00 ms"))
                  for _ in range(_poisson(draw, 0.004 * pace * secs))]  # fmt: skip
        if int(now / 60) != int((now - secs) / 60) and now >= self._up:
            found.append(("info", f"pool is alive, {draw.randrange(9)} idle"))
        due = [one for one in self._later if one[0] <= now]
        self._later = [one for one in self._later if one[0] > now]
        found += [(level, text) for _, level, text in due]
        return [(now - secs * draw.random(), self._written(*one)) for one in found]

    def _usual(self) -> tuple[str, str]:
        self._requests += 1
        text = self._fill(self._plain[min(int(self._draw.expovariate(0.4)), len(self._plain) - 1)])
        return "info", f"request_id={self.labels['service']}-{self._requests // 3:08d} {text}"

    def _happen(self, now: float) -> None:
        for what, at in self._next.items():
            if now >= at:
                mean = getattr(self, f"_{what}")(now)
                self._next[what] = now + self._wait(mean)
        if int(now / HOUR) != int((now - 5) / HOUR):
            self._job(now, items=self._draw.randrange(20, 120), secs=30.0)
        if int(now / DAY - 3 / 24) != int((now - 5) / DAY - 3 / 24):
            self._job(now, items=1500, secs=900.0)

    def _job(self, now: float, items: int, secs: float) -> None:
        for n in range(items):
            failed = self._draw.random() < 0.01
            text = f"item {n} {'failed: no such customer' if failed else 'was billed'}"
            self._later.append((now + secs * n / items, "error" if failed else "info", text))

    def _trace(self, now: float) -> float:
        """One failure, told in many lines of error within seconds."""
        text = self._trouble()
        for _ in range(self._draw.randrange(15, 80)):
            self._later.append((now + 6 * self._draw.random(), "error", self._fill(text)))
        return 0.4 * DAY

    def _scan(self, now: float) -> float:
        for _ in range(self._draw.randrange(20, 90)):
            text = self._fill("open() /var/www/{n}.php failed: no such file")
            self._later.append((now + 15 * self._draw.random(), "error", text))
        return 0.5 * DAY

    def _debug(self, now: float) -> float:
        """Somebody looks for something."""
        for _ in range(self._draw.randrange(1000, 4000)):
            text = self._fill("key {n} not found in cache, asking the shelf")
            self._later.append((now + 400 * self._draw.random(), "debug", text))
        return 2 * DAY

    def _restart(self, now: float) -> float:
        """A release: it goes down with a few failures, comes up with a banner, and says other
        things from then on."""
        draw = self._draw
        self.release += 1
        for _ in range(draw.randrange(6)):
            self._later.append((now + draw.random(), "error", "connection closed while stopping"))
        up = self._up = now + draw.uniform(3, 60)
        banner = [f"release {self.release} of {self.labels['service']} starts"]
        banner += [f"{a} {b} is ready, port {{n}}" for a in WORDS[:7] for b in DONE[:7]]
        for text in banner:
            self._later.append((up + 2 * draw.random(), "info", self._fill(text)))
        for _ in range(draw.randrange(1, 4)):
            self._plain[draw.randrange(len(self._plain))] = self._kind()
        self._errors[draw.randrange(len(self._errors))] = self._trouble()
        return 1.5 * DAY

    def _spike(self, now: float) -> float:
        self._spike_until = now + self._draw.uniform(300, 1800)
        return 0.7 * DAY

    def _late(self, now: float) -> float:
        """The tick of ``feed`` holds these back; nothing is said of it."""
        self.held_until = now + SHIPPING_SECS
        return 0.3 * DAY

    def _fill(self, text: str) -> str:
        draw = self._draw
        return text.replace("{n}", str(draw.randrange(10**6))).replace(
            "{ms}", str(draw.randrange(1, 400))
        )

    def _written(self, level: str, text: str) -> str:
        match self.style:
            case "json":
                return f'{{"level":"{level}","msg":"{text}"}}'
            case "logfmt":
                return f'level={level} msg="{text}"'
        return f"{level.upper()} {text}"


def services(many: int, seed: int = 1) -> list[Service]:
    styles, rates = ("json", "logfmt", "plain"), (0.1, 0.4, 1.0, 2.0)
    return [
        Service(f"s{n}", 100 * seed + n, rates[n % len(rates)], styles[n % len(styles)])
        for n in range(many)
    ]


def feed(
    all_: list[Service], until_s: float, tick_secs: float
) -> Iterator[tuple[float, list[LogLine]]]:
    """The end of each tick, and its lines."""
    now, held = 0.0, list[LogLine]()
    while now < until_s:
        now += tick_secs
        found, held = held, []
        for one in all_:
            lines = [
                LogLine(int((BEGIN_S + at) * 1e9), one.labels, text)
                for at, text in one.lines(now, tick_secs)
            ]
            (held if now < one.held_until else found).extend(lines)
        yield BEGIN_S + now, found


def _rhythm(now: float) -> float:
    """Of the time of day, and of the week: 0.1 to 1."""
    day = 0.55 - 0.45 * math.cos(2 * math.pi * (now / DAY - 3 / 24))
    return day * (0.5 if now / DAY % 7 >= 5 else 1.0)


def _poisson(draw: Random, mean: float) -> int:
    if mean > 30:
        return max(0, round(draw.gauss(mean, math.sqrt(mean))))
    n, left = 0, math.exp(-mean)
    product = draw.random()
    while product > left:
        n, product = n + 1, product * draw.random()
    return n

"""Logs of many styles, made here, each line's true template known.

``log_styles/NAME.txt`` is one style. ``header:`` is what stands before every message; ``name: a b``
is a pool of words (``\\s`` is a blank inside one); the other lines are a weight and a template.
``name!:`` is a pool of states and the like: people who label logs leave them in the template.
``{name}`` draws from the pool or from ``KINDS``; in the true template it is ``<*>``. The styles
were written before the miner was designed. Half of them, by their names, are held out: rules are
made with errors of the other half in view. ``late_`` ones were written when it was done.
"""

from __future__ import annotations

import calendar
import re
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Final

FOLDER: Final = Path(__file__).parent / "log_styles"
LINES: Final = 2000
EPOCH_SECS: Final = 1_790_000_000
_PLACE: Final = re.compile(r"\{([a-z]\w*)\}")
_POOL: Final = re.compile(r"(\w+)(!?): (\S.*)")
_USERS: Final = "root admin anna bob carol dmitri eve frank grace backup svc_app jdoe m.lopez"
_HOSTS: Final = (
    "web1 web2 db-main gw mail.shop.example node17 edge-fra-3 cache01 build api.internal.example "
    "srv-9.dc2.example ldap"
)
_PATHS: Final = (
    "/var/lib/data /etc/app/config.yaml /api/v1/orders/17 /index.html /tmp/x.sock /usr/bin/env "
    "/home/anna/report.pdf /api/login /static/app.js"
)


@dataclass(frozen=True)
class Style:
    """``events`` and ``templates`` are the truth of each line; ``structured`` lines have no text
    of their own that a template could be held to."""

    name: str
    raw: tuple[str, ...]
    content: tuple[str, ...]
    events: tuple[int, ...]
    templates: tuple[str, ...]
    structured: bool

    @property
    def part(self) -> str:
        """``late`` ones were written when the miner was done, ``last`` when it was done again,
        ``new`` and ``unseen`` ones, of real programs, after that."""
        part = self.name.partition("_")[0]
        if part in {"late", "last", "new", "unseen"}:
            return part
        return "held out" if zlib.crc32(self.name.encode()) % 2 == 1 else "design"


@cache
def styles(seed: int = 1) -> tuple[Style, ...]:
    return tuple(_style(path, Random(f"{path.stem} {seed}")) for path in sorted(FOLDER.glob("*")))


def _style(path: Path, random: Random) -> Style:
    header, pools, told, events = "", {}, {}, []
    for line in path.read_text().splitlines():
        weight, _, rest = line.partition(" ")
        if weight.isdigit():
            events.append((int(weight), rest))
        elif line.startswith("header: "):
            header = line.removeprefix("header: ")
        elif pool := _POOL.fullmatch(line):
            words = [word.replace(r"\s", " ") for word in pool[3].split(" ")]
            (told if pool[2] else pools)[pool[1]] = words
    kinds, states = _Kinds(random, pools), _Kinds(random, told)
    heads, content, truth = [], [], []
    for text in random.choices([t for _, t in events], [weight for weight, _ in events], k=LINES):
        kinds.time_s += random.expovariate(0.2)
        event = states.fill(text, of=told)
        heads.append(kinds.fill(header))
        content.append(kinds.fill(event))
        truth.append(true_template(event))
    known = {text: n for n, text in enumerate(dict.fromkeys(truth))}
    return Style(
        path.stem,
        tuple(h + c for h, c in zip(heads, content, strict=True)),
        tuple(content),
        tuple(known[text] for text in truth),
        tuple(truth),
        any('msg="' in text or text.startswith('{"') for _, text in events),
    )


def true_template(text: str) -> str:
    """As people label: a word that holds a value is one, and so is a run of them."""
    text = re.sub(r"<\*>(?:ms|s|kB|Mbps|MB)\b", "<*>", _PLACE.sub("<*>", text))
    text = re.sub(r"[^\s,!;:=|\"'\[\](){}#]*<\*>[^\s,!;:=|\"'\[\](){}<>#]*[\w/+-]", "<*>", text)
    while (shorter := re.sub(r"<\*>(?:[./@-]?<\*>)+", "<*>", text)) != text:
        text = shorter
    return text


class _Kinds:
    """Values; the first of a pool are drawn more often, as in life."""

    def __init__(self, random: Random, pools: dict[str, list[str]]) -> None:
        self._random, self._pools, self.time_s = random, pools, float(EPOCH_SECS)

    def fill(self, text: str, of: Container[str] | None = None) -> str:
        """Only places of these names, if given."""

        def drawn(place: re.Match[str]) -> str:
            return place[0] if of is not None and place[1] not in of else self._draw(place[1])

        while (filled := _PLACE.sub(drawn, text)) != text:
            text = filled
        return text

    def _draw(self, kind: str) -> str:
        if kind in self._pools:
            return self._of(self._pools[kind])
        return KINDS[kind](self)

    def _of(self, pool: list[str]) -> str:
        weights = [1 / (1 + rank) for rank in range(len(pool))]
        return self._random.choices(pool, weights)[0]

    def any_of(self, words: str) -> str:
        return self._of(words.split())

    def number(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def digits(self, n: int) -> str:
        return "".join(self._random.choices("0123456789", k=n))

    def hex(self, n: int) -> str:
        return "".join(self._random.choices("0123456789abcdef", k=n))

    def clock(self) -> str:
        day_secs = int(self.time_s) % 86400
        return f"{day_secs // 3600:02}:{day_secs // 60 % 60:02}:{day_secs % 60:02}"

    def day(self) -> int:
        return 1 + int(self.time_s - EPOCH_SECS) // 86400 % 28

    def month(self) -> int:
        return 1 + int(self.time_s - EPOCH_SECS) // (28 * 86400) % 12


def _uuid(k: _Kinds) -> str:
    return "-".join(k.hex(n) for n in (8, 4, 4, 4, 12))


def _ip(k: _Kinds) -> str:
    return f"{k.number(10, 203)}.{k.number(0, 20)}.{k.number(0, 9)}.{k.number(1, 254)}"


def _num(k: _Kinds) -> str:
    return str(k.number(0, 10 ** k.number(1, 6)))


def _date(k: _Kinds) -> str:
    return f"2026-{k.month():02}-{k.day():02}"


def _level(pool: str) -> Callable[[_Kinds], str]:
    return lambda k: k.any_of(pool)


def _pod(k: _Kinds) -> str:
    return f"{k.any_of('orders payments web redis')}-{k.hex(9)}-{k.hex(5)}"


KINDS: Final[dict[str, Callable[[_Kinds], str]]] = {
    "num": _num,
    "num6": lambda k: k.digits(6),
    "d1": lambda k: k.digits(1),
    "d2": lambda k: k.digits(2),
    "float": lambda k: f"{k.number(0, 999)}.{k.digits(3)}",
    "pct": lambda k: f"{k.number(0, 99)}.{k.digits(1)}%",
    "port": lambda k: str(k.number(1024, 65535)),
    "pid": lambda k: str(k.number(100, 32000)),
    "pid7": lambda k: f"{k.number(1, 32000):7}",
    "status": lambda k: k.any_of("200 404 304 500 201"),
    "ip": _ip,
    "mac": lambda k: ":".join(k.hex(2) for _ in range(6)),
    "hx": lambda k: "0x" + k.hex(8),
    "hex": lambda k: k.hex(12),
    "hex8": lambda k: k.hex(8),
    "hex12": lambda k: k.hex(12),
    "hex32": lambda k: k.hex(32),
    "hex40": lambda k: k.hex(40),
    "hex64": lambda k: k.hex(64),
    "hexq": lambda k: k.hex(11).upper(),
    "uuid": _uuid,
    "ver": lambda k: f"{k.number(1, 20)}.{k.number(0, 9)}.{k.number(0, 9)}",
    "user": lambda k: k.any_of(_USERS),
    "host": lambda k: k.any_of(_HOSTS),
    "pod": _pod,
    "email": lambda k: f"{k.any_of(_USERS)}@{k.any_of('shop.example mail.example')}",
    "path": lambda k: k.any_of(_PATHS),
    "url": lambda k: f"https://shop.example{k.any_of(_PATHS)}",
    "dur": lambda k: f"{k.number(1, 900)}.{k.digits(2)}" + k.any_of("ms s"),
    "bool": lambda k: k.any_of("true false"),
    "mmss": lambda k: f"{k.number(0, 59):02}:{k.number(0, 59):02}",
    "level": _level("INFO WARNING ERROR DEBUG"),
    "level5": lambda k: f"{k.any_of('INFO WARN ERROR DEBUG'):5}",
    "clock": _Kinds.clock,
    "clock_ms": lambda k: f"{k.clock()}.{k.digits(3)}",
    "clock_us": lambda k: f"{k.clock()}.{k.digits(6)}",
    "date": _date,
    "date_dot": lambda k: _date(k).replace("-", "."),
    "month": lambda k: calendar.month_abbr[k.month()],
    "day2": lambda k: f"{k.day():2}",
    "dow": lambda k: calendar.day_abbr[k.day() % 7],
    "year": lambda _: "2026",
    "md": lambda k: f"{k.month():02}{k.day():02}",
    "md2": lambda k: f"{k.month():02}-{k.day():02}",
    "md_dot": lambda k: f"{k.month():02}.{k.day():02}",
    "md_dash": lambda k: f"{k.month():02}-{k.day():02}",
    "md_slash": lambda k: f"{k.month():02}/{k.day():02}",
    "md_slash2": lambda k: f"{k.month():02}/{k.day():02}",
    "apache": lambda k: f"{k.day():02}/{calendar.month_abbr[k.month()]}/2026:{k.clock()} +0000",
    "iso_comma": lambda k: f"{_date(k)} {k.clock()},{k.digits(3)}",
    "isoz": lambda k: f"{_date(k)}T{k.clock()}Z",
    "isoz_ms": lambda k: f"{_date(k)}T{k.clock()}.{k.digits(3)}Z",
    "isoz_us": lambda k: f"{_date(k)}T{k.clock()}.{k.digits(6)}Z",
    "epoch": lambda k: str(int(k.time_s)),
    "kts": lambda k: f"{k.number(0, 99999):5}.{k.digits(6)}",
    "tsmicro": lambda k: f"{_date(k)}-{k.clock().replace(':', '.')}.{k.digits(6)}",
}

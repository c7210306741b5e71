"""Logs with their true templates, and the scorer of grouping. They ship with nobody.

``AIOPSD_BENCH_DATA`` names the folder that holds ``logs/score_logs.py`` and ``logs/data``.
"""

from __future__ import annotations

import csv
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import NamedTuple

from aiopsd.logs.reader import Reader
from aiopsd.logs.templates import Templates
from tests.bench import labelled, log_styles
from tests.bench.labelled import DATA

FOLDER = DATA / "logs"
BATCH = 100  # lines that are read before their ids are told; the command reads 1,000


class Scores(NamedTuple):
    """Shares of lines and of templates that are right, grouping and text."""

    ga: float
    fga: float
    pa: float
    fta: float

    def __str__(self) -> str:
        return " ".join(f"{one:5.3f}" for one in self)


@dataclass(frozen=True)
class LogSet:
    """``templates`` may be missing where lines have no text of their own."""

    name: str
    lines: tuple[bytes, ...]
    events: tuple[str, ...]
    templates: tuple[str, ...]


Mined = tuple[list[int], Callable[[int], str]]
Mine = Callable[[Sequence[bytes], int], Mined]


def require() -> None:
    labelled.require(FOLDER / "data" / "parsing", "labelled logs")


def scorer() -> ModuleType:
    return labelled.scorer(FOLDER / "score_logs.py")


@cache
def sets(kind: str) -> tuple[LogSet, ...]:
    """``content``: messages; ``raw``: lines as they were written."""
    found = []
    for truth in sorted((FOLDER / "data" / "parsing" / "truth").glob("*.csv")):
        with truth.open(newline="") as file:
            rows = list(csv.DictReader(file))
        text = (FOLDER / "data" / "parsing" / kind / f"{truth.stem}.log").read_bytes()
        lines = text.removesuffix(b"\n").split(b"\n")
        events, templates = [[row[c] for row in rows] for c in ("event_id", "template")]
        found.append(LogSet(truth.stem, tuple(lines), tuple(events), tuple(templates)))
    return tuple(found)


@cache
def styles(kind: str, part: str) -> tuple[LogSet, ...]:
    """Made here: see log_styles.py."""
    return tuple(
        LogSet(
            one.name,
            tuple(line.encode() for line in getattr(one, kind)),
            tuple(map(str, one.events)),
            () if one.structured else one.templates,
        )
        for one in log_styles.styles()
        if one.part == part
    )


@cache
def hdfs() -> tuple[bytes, ...]:
    path = FOLDER / "data" / "anomaly" / "hdfs2pct" / "HDFS.log.xz"
    return tuple(lzma.decompress(path.read_bytes()).removesuffix(b"\n").split(b"\n"))


def ours(lines: Sequence[bytes], batch: int = BATCH) -> Mined:
    """Ids as they were known when each batch had been read."""
    reader = Reader(Templates(10_000))
    ids: list[int] = []
    for at in range(0, len(lines), batch):
        ids += reader.ids(lines[at : at + batch])
    return ids, reader.templates.text


def score(one: LogSet, mined: Mined) -> Scores:
    scoring = scorer()
    ids, text = mined
    ga, fga, *_ = scoring.group_scores(one.events, ids)
    if not one.templates:
        return Scores(ga, fga, float("nan"), float("nan"))
    texts = {number: scoring.canon(text(number)) for number in set(ids)}
    truth = {template: scoring.canon(template) for template in set(one.templates)}
    pa, fta = scoring.template_scores(
        [truth[template] for template in one.templates], [texts[number] for number in ids]
    )
    return Scores(ga, fga, pa, fta)


def drain() -> Mine | None:
    """Drain3 as it comes out of the box; None where it is not installed."""
    try:
        from drain3 import TemplateMiner
        from drain3.template_miner_config import TemplateMinerConfig
    except ImportError:
        return None

    def mine(lines: Sequence[bytes], _: int) -> Mined:
        miner = TemplateMiner(config=TemplateMinerConfig())
        ids = [
            int(miner.add_log_message(line.decode(errors="replace"))["cluster_id"])
            for line in lines
        ]
        texts = {one.cluster_id: one.get_template() for one in miner.drain.clusters}
        return ids, lambda number: texts.get(number, "")

    return mine

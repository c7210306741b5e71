"""What redaction costs, what it finds, and what it takes by mistake.

``make bench`` prints the tables. Times are of the processor, the best of three.
"""

import lzma
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from aiopsd.config.redaction import RedactionPatternSettings, RedactionSettings
from aiopsd.redaction import Names, Redactor
from tests import leaks, ordinary
from tests.bench.log_corpus import FOLDER, require
from tests.canaries import PASSWORD, PEOPLE, TOKENS
from tests.property.test_redaction import AROUND, NAMED

KEY = b"k" * 32
MOST = 100_000  # lines of one set
HDFS, NEZHA = "anomaly/hdfs2pct/HDFS.log.xz", "anomaly/nezha_tt/logs.tsv.xz"


def sets() -> dict[str, list[str]]:
    """Lines as they were written, headers and all."""
    require()
    data = FOLDER / "data"
    found = {
        path.stem: path.read_text(errors="replace").splitlines()
        for path in sorted((data / "parsing" / "raw").glob("*.log"))
    }
    for name in (HDFS, NEZHA):
        with lzma.open(data / name, "rt", errors="replace") as file:
            found[name.split("/")[1]] = [line for line, _ in zip(file, range(MOST), strict=False)]
    return found


def best_secs(work: Callable[[], object]) -> float:
    took_secs = []
    for _ in range(3):
        begun = time.process_time()
        work()
        took_secs.append(time.process_time() - begun)
    return min(took_secs)


def secret(dice: random.Random) -> tuple[str, str]:
    """(canary, a line with it)"""
    if dice.random() < 0.4:
        made, notation = PASSWORD(dice), dice.choice(NAMED)
    else:
        makers = TOKENS | PEOPLE
        made, notation = makers[dice.choice(list(makers))](dice), dice.choice(AROUND)
    return made, f"2026-11-23 10:00:00,123 INFO [main] {notation.format(made, made)} done"


def salted(lines: Sequence[str], share: float) -> list[str]:
    dice = random.Random(1)
    return [secret(dice)[1] if dice.random() < share else line for line in lines]


def lines_a_second(lines: Sequence[str]) -> float:
    redactor = Redactor(Names(KEY))
    return len(lines) / best_secs(lambda: redactor.lines(lines))


def test_lines_a_second_and_what_is_taken_from_them() -> None:
    print(f"\n{'set':<12}{'lines':>8}{'chars':>7}{'clean/s':>10}{'1% secrets/s':>14}  taken")
    for name, lines in sets().items():
        taken: Counter[str] = Counter()
        counting = Redactor(Names(KEY), count=lambda kind, n, taken=taken: taken.update({kind: n}))
        clean = counting.lines(lines)
        rates = [lines_a_second(one) / 1e3 for one in (lines, salted(lines, 0.01))]
        touched = sum("<" in b and a[: len(b)] != b for a, b in zip(lines, clean, strict=True))
        chars = sum(map(len, lines)) / len(lines)
        print(f"{name:<12}{len(lines):>8}{chars:>7.0f}{rates[0]:>9.0f}k{rates[1]:>13.0f}k"
              f"  {touched} lines: {dict(taken)}")  # fmt: skip
        assert touched <= 0.004 * len(lines)
        assert rates[0] > 30


def test_what_is_found_of_secrets_in_many_notations() -> None:
    dice, redactor = random.Random(7), Redactor(Names(KEY))
    missed: Counter[str] = Counter()
    total = 20_000
    for _ in range(total):
        made, line = secret(dice)
        missed["missed"] += made in redactor.text(line)
    print(f"\nfound {1 - missed['missed'] / total:.4%} of {total}")
    assert missed["missed"] <= total // 1000


def test_what_is_found_by_family_and_what_is_touched_of_ordinary_lines() -> None:
    redactor, lines_of_each = Redactor(Names(KEY)), 3000
    print(f"\n{'family':<12}{'found':>8}")
    for family in leaks.FAMILIES:
        dice = random.Random(family)
        made = [leaks.leak(dice, family) for _ in range(lines_of_each)]
        clean = redactor.lines([line for _, _, line in made])
        whole = zip(made, clean, strict=True)
        found = sum(one[0][:-1] not in line and one[0][1:] not in line for one, line in whole)
        print(f"{family:<12}{found / lines_of_each:>8.1%}")
        assert found >= 0.97 * lines_of_each
    print(f"\n{'ordinary':<12}{'touched':>8}")
    for family in ordinary.FAMILIES:
        dice = random.Random(family)
        lines = [ordinary.ordinary(dice, family)[1] for _ in range(lines_of_each)]
        touched = sum(map(str.__ne__, lines, redactor.lines(lines)))
        print(f"{family:<12}{touched / lines_of_each:>8.2%}")
        assert touched <= 0.002 * lines_of_each


@pytest.mark.parametrize("kind", ["card", "opaque"])
def test_what_is_taken_of_random_ids(kind: str) -> None:
    """Numbers of 16 digits and words of 40 hexadecimal ones are ids far more often than not."""
    dice, taken = random.Random(3), Counter[str]()
    redactor = Redactor(Names(KEY), count=lambda kind, n: taken.update({kind: n}))
    make = {
        "card": lambda: str(dice.randrange(10**15, 10**16)),
        "opaque": lambda: f"{dice.getrandbits(160):040x}",
    }[kind]
    ids = [make() for _ in range(20_000)]
    redactor.lines([f"id {one} done" for one in ids])
    print(f"\n{kind}: {taken[kind] / len(ids):.2%} of random ids")
    assert taken[kind] <= (0.05 if kind == "card" else 0.0) * len(ids)


OF_PEOPLE = {
    "one with a text": [r"EMP-\d{6}"],
    "three": [r"EMP-\d{6}", r"(?i)\bcust(?:omer)?[-_]?\d{4,12}\b", r"\b[A-Z]{2}\d{6,8}\b"],
}


def test_what_patterns_of_people_cost() -> None:
    lines = [line for name, some in sets().items() if "hdfs" not in name for line in some[:2000]]

    def took_secs(patterns: Sequence[str]) -> float:
        settings = RedactionSettings(
            patterns=tuple(
                RedactionPatternSettings(name=f"own{n}", pattern=one)
                for n, one in enumerate(patterns)
            )
        )
        redactor = settings.redactor(KEY, [], lambda _kind, _values: None)
        return best_secs(lambda: redactor.lines(lines))

    bare = took_secs([])
    for name, patterns in OF_PEOPLE.items():
        ratio = took_secs(patterns) / bare
        print(f"\n{name}: {ratio:.2f} times a line without any")
        assert ratio < 2.0

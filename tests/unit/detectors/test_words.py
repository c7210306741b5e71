"""Numbers as people write them."""

import math

import pytest

from aiopsd.detectors.words import amount, arrival, lasting, limits, span

DASH = "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.1184, "ratio", "11.8 %"),
        (0, "ratio", "0 %"),
        (1, "ratio", "100 %"),
        (0.00004, "ratio", "0.004 %"),
        (55, "percent", "55 %"),
        (0.4, "seconds", "400 ms"),
        (0.9996, "seconds", "1 s"),
        (0.0000021, "seconds", "2.1 µs"),
        (0, "seconds", "0 s"),
        (90, "seconds", "1.5 min"),
        (7200, "seconds", "2 h"),
        (-0.02, "seconds", "-20 ms"),
        (1234567, "bytes", "1.18 MiB"),
        (12, "bytes", "12 B"),
        (3 * 2**40, "bytes", "3 TiB"),
        (1234.4, "", "1,230"),
        (12.345, "", "12.3"),
        (0.00001, "", "1e-05"),
        (2e300, "", "2e+300"),
        (-0.0, "", "0"),
        (math.inf, "", "inf"),
    ],
)
def test_amount(value: float, unit: str, words: str) -> None:
    assert amount(value, unit) == words


def test_a_span_has_one_unit() -> None:
    assert span(0, 0.012, "ratio") == f"0{DASH}1.2 %"
    assert span(0.0005, 0.128, "seconds") == f"0.5{DASH}128 ms"
    assert span(5, 5, "") == "5"
    assert span(-2, 1, "") == f"-2{DASH}1"


def test_limits() -> None:
    assert limits(-math.inf, 0.05, "ratio") == "limit 5 %"
    assert limits(1, math.inf, "") == "limit 1"
    assert limits(1, 9, "") == f"limits 1{DASH}9"


@pytest.mark.parametrize(
    ("secs", "words"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (89, "1 min"),
        (3599, "60 min"),
        (3600, "1 h"),
        (12_000, "3 h 20 min"),
        (86_399, "24 h"),
        (90_000, "1 d 1 h"),
        (172_800, "2 d"),
        (8_640_000, "100 d"),
    ],
)
def test_lasting(secs: float, words: str) -> None:
    assert lasting(secs) == words


def test_arrival() -> None:
    hours = (3 * 3600 + 1200.0, 2 * 3600.0)
    assert arrival(1, *hours, 5 * 3600, "ratio") == "reaches 100 % in 3 h 20 min (2 h to 5 h)"
    assert arrival(100e9, *hours, math.inf, "bytes") == (
        "reaches 93.1 GiB in 3 h 20 min (2 h or never)"
    )
    assert arrival(0, 0.0, 0.0, 0.0, "") == "has reached 0"

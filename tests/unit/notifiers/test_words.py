"""Numbers as people say them."""

import pytest

from aiopsd.notifiers.words import amount, bars, between, duration


@pytest.mark.parametrize(
    ("secs", "said"),
    [(0, "0 s"), (-5, "0 s"), (59.4, "59 s"), (60, "1 min"), (839, "13 min"), (3900, "1 h 5 min"),
     (3600, "1 h"), (273_600, "3 d 4 h"), (86_460, "1 d 1 min")],
)  # fmt: skip
def test_durations(secs: float, said: str) -> None:
    assert duration(secs) == said


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [(0.31, "ratio", "31 %"), (0.0004, "ratio", "0.04 %"), (12.345, "percent", "12.3 %"),
     (0.244, "seconds", "244 ms"), (1.9, "seconds", "1.9 s"), (90, "seconds", "1 min"),
     (1420, "", "1,420"), (123456, "", "123,456"), (5, "", "5"), (0, "", "0"), (1e-9, "", "1e-09"),
     (3 * 1024**3, "bytes", "3 GiB"), (512, "bytes", "512 B"), (-2048, "bytes", "-2 KiB"),
     (None, "ratio", "no data"), (float("nan"), "", "no data"), (float("inf"), "", "no data")],
)  # fmt: skip
def test_amounts(value: float | None, unit: str, said: str) -> None:
    assert amount(value, unit) == said


def test_bands() -> None:
    assert between(0.0, 0.012, "ratio") == "0 to 1.2 %"
    assert between(0.4, 2.0, "seconds") == "400 ms to 2 s"
    assert between(300, 400, "") == "300 to 400"
    assert between(None, 0.012, "ratio") == "at most 1.2 %"
    assert between(3, float("inf"), "") == "at least 3"
    assert between(None, None, "") == ""


def test_bars() -> None:
    assert bars([0, 1, 2, None, 7]) == "▁▂▃·█"
    assert bars([5, 5, 5]) == "▁▁▁"
    assert bars([-1.7e308, 1.7e308]) == "▁█"
    assert bars([1.0]) == bars([]) == bars([None, float("nan")]) == ""

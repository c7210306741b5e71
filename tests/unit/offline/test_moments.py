"""Times of any form, told by the whole column."""

import numpy as np
import pytest

from aiopsd.offline.moments import is_moment, moments

AT = 1_396_310_400.0  # 2014-04-01 00:00 UTC


@pytest.mark.parametrize(
    "text",
    [
        "2014-04-01",
        "2014-04-01 00:00",
        " 2014-04-01 00:00:00 ",
        "2014-04-01T00:00:00.000000000",
        "2014-04-01T00:00:00Z",
        "2014-04-01 02:00:00+02:00",
        "2014-04-01 02:00:00 +0200",
        "2014-04-01 00:00:00 UTC",
        "2014-04-01 00:00:00.000001 +0000 UTC",
        "2014-04-01 00:00:00,000",
        "20140401T000000Z",
        "20140401",
        "201404010000",
        "20140401000000",
        "1396310400",
        "1396310400.0",
        "1.3963104e9",
        "1396310400000",
        "1396310400000000",
        "1396310400000000000",
        "2014/04/01 00:00:00",
        "01.04.2014 00:00",
        "04/01/2014 12:00 AM",
        "01/Apr/2014:02:00:00 +0200",
        "Tue, 01 Apr 2014 00:00:00 GMT",
        "Apr 1, 2014 00:00:00",
    ],
)
def test_one_moment_in_many_forms(text: str) -> None:
    assert moments([text]) == pytest.approx([AT], abs=1e-5)
    assert is_moment(text)


def test_fractions_are_kept() -> None:
    assert moments(["2014-04-01 00:00:00.25", "1396310400.25"])[0] == AT + 0.25
    assert moments(["1396310400250", "1396310400500"]) == pytest.approx([AT + 0.25, AT + 0.5])


def test_day_and_month_by_the_column() -> None:
    assert moments(["01/04/2014 00:00", "13/04/2014 00:00"])[0] == AT
    assert moments(["04/01/2014 00:00", "04/13/2014 00:00"])[0] == AT


def test_units_of_an_epoch_are_those_of_most_cells() -> None:
    """A broken first cell does not turn milliseconds into seconds."""
    found = moments(["0", "1396310400000", "1396310460000", "1396310520000"])
    assert np.diff(found[1:]).tolist() == [60.0, 60.0]


def test_small_numbers_are_seconds() -> None:
    assert moments(["0", "15", "30"]).tolist() == [0.0, 15.0, 30.0]


@pytest.mark.parametrize("texts", [["", "2014-04-01", "x"], ["nan", "1396310400", "1396310400"],
                                   ["2014-06-31", "2014-04-01"]])  # fmt: skip
def test_what_is_no_time_is_not_a_number(texts: list[str]) -> None:
    found = moments(texts)
    assert np.isnan(found[0])
    assert found[1] == AT


def test_words_are_no_moments() -> None:
    assert not any(map(is_moment, ["timestamp", "", "value", "NA", "12:00 or so"]))

"""What fits, what is refused, and with which words."""

import pytest
from msgspec.structs import replace

from aiopsd.correlation.quiet.matchers import fit, parsed, seen, shown
from aiopsd.errors import Refused
from aiopsd.model import Anomaly
from tests.unit.correlation.test_grouping import anomaly


def labelled(**labels: str) -> Anomaly:
    one = anomaly("api", "disk_full")
    return replace(one, labels=one.labels | labels)


@pytest.mark.parametrize(
    ("matchers", "fits"),
    [
        (["service=api"], True),
        (['service = "api"'], True),
        (["service='api'"], True),
        (["service=ap"], False),
        (["service=~ap"], False),  # a pattern must fit all of the value
        (["service=~ap."], True),
        (["rule=~disk_.*", "service=api"], True),
        (["rule=~disk_.*", "service=db"], False),
        (["service=api", "zone!=north"], True),  # a label that is not there is empty
        (["service=api", "zone="], True),
        (["service=api", "zone!="], False),
        (["service=api", "zone!~.*"], False),
        (["kind=error-rate", "severity=high"], True),
        (["k8s.io/name=x"], False),
    ],
)
def test_all_matchers_must_fit_whole_values(matchers: list[str], fits: bool) -> None:
    assert fit(parsed(matchers), seen(labelled())) is fits


def test_a_label_of_the_series_hides_no_word_of_ours() -> None:
    """Or whoever writes a label chooses what silences it."""
    hidden = replace(labelled(), labels={"rule": "other", "severity": "info", "service": "db"})
    assert fit(parsed(["rule=disk_full", "severity=high", "service=api"]), seen(hidden))


@pytest.mark.parametrize(
    ("matchers", "wrong"),
    [
        ([], "silence everything"),
        (["service=~.*"], "fits everything"),
        (["service!=api"], "fits everything"),
        (["service="], "fits everything"),
        (["api"], "is no matcher"),
        (["=api"], "is no matcher"),
        (["service=~(?=x)"], "RE2 has no lookahead"),
        (["service=~a{2000}"], "repetitions end at 1000"),
        (["service=" + "x" * 501], "at most 500"),
        (["service=a"] * 21, "at most 20"),
    ],
)
def test_what_is_no_matcher_is_refused_with_a_sentence(matchers: list[str], wrong: str) -> None:
    with pytest.raises(Refused, match=wrong.replace("(", r"\(")):
        parsed(matchers)


def test_a_pattern_that_redaction_broke_fits_nothing() -> None:
    (one,) = parsed(["service=~api|x"])
    assert not fit([replace(one, value="(<secret>")], {"service": "api"})


def test_what_is_shown_can_be_written_again() -> None:
    texts = ["service=api", "rule=~disk_.*", "zone!=north"]
    assert parsed(shown(parsed(texts)).split(", ")) == parsed(texts)

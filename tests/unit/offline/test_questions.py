"""What Prometheus is asked for, so that a selection finds all that a stream would bring."""

from __future__ import annotations

import pytest

from aiopsd.offline.questions import questions
from aiopsd.transforms import compile_selection


@pytest.mark.parametrize(
    ("select", "as_", "asked"),
    [
        ("up", "value", '{__name__="up"}'),
        ("up{a='x\"y', b!~`\\d`}", "value", '{__name__="up",a="x\\"y",b!~"\\\\d"}'),
        ("seconds_bucket", "p95", '{__name__=~"seconds_bucket|seconds|seconds_bucket_bucket"}'),
        ("seconds", "mean", '{__name__=~"seconds|seconds_sum|seconds_count"}'),
        (
            'seconds_bucket{le="0.5", job="a"}',
            "rate",
            '{__name__=~"seconds_bucket|seconds",le=~"0\\\\.5|",job="a"}',
        ),
        ('{__name__=~"a|b"}', "p50", '{__name__=~"(?:a|b)(?:_bucket|)"}'),
        ('{__name__=~"a|b"}', "rate", '{__name__=~"a|b"}'),
        ('{job="a", le="1"}', "value", '{job="a",le="1"}'),
        ('{__name__!="x", job="a"}', "value", '{__name__!="x",job="a"}'),
    ],
)
def test_what_is_asked(select: str, as_: str, asked: str) -> None:
    """Native histograms are asked for as well: they have neither suffix nor ``le``."""
    (found,) = questions(compile_selection(select, as_))
    assert found == asked


def test_both_sides_of_a_ratio_once() -> None:
    both = compile_selection('a{x="1"}', "rate", over='a{x="2"}')
    assert questions(both) == ['{__name__="a",x="1"}', '{__name__="a",x="2"}']
    assert questions(compile_selection("a", "rate", over="a")) == ['{__name__="a"}']


def test_names_alone_bring_the_ticks_of_others() -> None:
    assert questions(compile_selection('up{job="a"}'), names_only=True) == ['{__name__="up"}']
    nameless = compile_selection('{job="a"}')
    assert questions(nameless, names_only=True) == ['{job="a"}']

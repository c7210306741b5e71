"""A name is another one if rule or labels are, whatever stands in them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aiopsd.model import Batch, Indexes, Labels
from aiopsd.names import labels_of, name_of
from aiopsd.series import SeriesTable

odd = st.text(st.sampled_from("ab\x1e\x1f\x1b\\\x00é\ud800\udcff\U0001f600\n"), max_size=4)
rules = st.one_of(st.sampled_from(["", "rate"]), odd)
labels = st.dictionaries(odd, odd, max_size=4)


@given(rules, labels, rules, labels)
def test_names_differ_where_series_do(
    rule: str, one: Labels, other_rule: str, other: Labels
) -> None:
    same = (rule, one) == (other_rule, other)
    assert (name_of(rule, one) == name_of(other_rule, other)) == same
    assert labels_of(name_of(rule, one)) == one
    backwards = dict(reversed(one.items()))
    assert name_of(rule, backwards) == name_of(rule, one)


@given(st.lists(labels, max_size=8), labels)
def test_what_is_asked_for_by_labels_is_found(series: list[Labels], where: Labels) -> None:
    table = SeriesTable()
    indexes: Indexes = np.array([table.intern("r", one) for one in series], np.int32)
    table.record(Batch("r", 1.0, indexes, np.arange(len(series), dtype=float)))
    for asked in [where, {}, *series, *({k: v} for one in series for k, v in one.items())]:
        found = [one for one, _ in table.latest("r", asked, 0.0)]
        matching = [one for one in series if asked.items() <= one.items()]
        assert sorted(map(repr, found)) == sorted({repr(dict(sorted(m.items()))) for m in matching})

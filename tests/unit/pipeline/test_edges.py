"""Edges are said once by any number of series, and again while these live."""

import numpy as np

from aiopsd.correlation.ties import Tie, ties
from aiopsd.model import Batch, Labels
from aiopsd.pipeline.edges import AGAIN_SECS, Edges


class Names:
    """Labels by index, and how often they were asked for."""

    def __init__(self, *labels: Labels) -> None:
        self.labels = list(labels)
        self.asked = 0

    def __call__(self, index: int) -> Labels:
        self.asked += 1
        return self.labels[index]


def tick(time_s: float, *series: int) -> Batch:
    return Batch("", time_s, np.array(series, np.int32), np.zeros(len(series)))


def test_an_edge_is_said_once_and_its_labels_are_read_once() -> None:
    names = Names({"pod": "a"}, {"client": "web", "server": "db", "pod": "a"},
                  {"client": "web", "server": "db", "pod": "b"}, {"client": "web"})  # fmt: skip
    edges = Edges(names)
    assert edges.observe(tick(1.0)) == []
    assert edges.observe(tick(1.0, 0, 1, 2, 3)) == [Tie("calls", "web", "db", "client/server")]
    assert edges.observe(tick(2.0, 0, 1, 2, 3)) == []
    assert names.asked == 4


def test_a_live_edge_is_said_again_and_a_dead_one_is_not() -> None:
    names = Names({"caller": "a", "callee": "b"}, {"caller": "b", "callee": "c"})
    edges = Edges(names)
    assert len(edges.observe(tick(1.0, 0, 1))) == 2
    assert edges.observe(tick(AGAIN_SECS, 0)) == []
    assert edges.observe(tick(AGAIN_SECS + 1.0, 0)) == ties(names.labels[0])
    assert edges.observe(tick(5.0, 0)) == ties(names.labels[0]), "the clock went back"
    assert names.asked == 2


def test_both_ways_to_name_an_edge_are_kept() -> None:
    both = {"client": "a", "server": "b", "source_app": "x", "destination_app": "y"}
    assert Edges(Names({**both, "pod": "1"})).observe(tick(1.0, 0)) == ties(both)


def test_a_freed_index_speaks_of_another_series() -> None:
    names = Names({"client": "a", "server": "b"})
    edges = Edges(names)
    edges.observe(tick(1.0, 0))
    edges.forget(np.array([0, 7], np.int32))
    names.labels[0] = {"client": "a", "server": "c"}
    assert edges.observe(tick(2.0, 0)) == ties(names.labels[0])


def test_edges_that_come_and_go_are_forgotten() -> None:
    names = Names({})
    edges = Edges(names)
    for n in range(1000):
        names.labels[0] = {"client": str(n), "server": "b"}
        assert len(edges.observe(tick(n * 10.0, 0))) == 1
        edges.forget(np.array([0], np.int32))
        assert len(edges._numbers) <= 2 * AGAIN_SECS / 10.0 + 1


def test_what_was_forgotten_is_looked_at_anew() -> None:
    names = Names({"client": "a", "server": "b"}, {"client": "b", "server": "c"}, {})
    edges = Edges(names)
    edges.observe(tick(0.0, 0, 1, 2))
    edges.observe(tick(AGAIN_SECS, 1, 2))  # the first is not there
    assert edges.observe(tick(2 * AGAIN_SECS, 1, 2)) == ties(names.labels[1])
    assert names.asked == 3
    assert edges.observe(tick(2 * AGAIN_SECS + 1, 0, 1, 2)) == ties(names.labels[0])
    assert names.asked == 4

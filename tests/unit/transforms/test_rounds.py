"""When a rule is worked out: once a tick, with all that is due, and without waiting for others."""

import numpy as np
import pytest

from aiopsd.model import Batch
from aiopsd.series import SeriesTable
from aiopsd.transforms import Transforms, compile_selection
from aiopsd.transforms.rounds import LONGEST_SECS


class Fleet:
    """Targets that each bring a part of the samples; what comes out is (rule, time, values)."""

    def __init__(self, **rules: str) -> None:
        self.table = SeriesTable()
        by = dict.fromkeys(rules, ("service",))
        selections = {n: compile_selection(one, "value", by[n]) for n, one in rules.items()}
        self.transforms = Transforms(selections, self.table)

    def feed(
        self, time_s: float, target: str, value: float = 1.0, name: str = "memory", **more: bool
    ) -> list[tuple[str, float, list[float]]]:
        return self.said(self.transforms.feed(self.batch(time_s, [target], value, name, **more)))

    def batch(
        self,
        time_s: float,
        targets: list[str],
        value: float = 1.0,
        name: str = "memory",
        history: bool = False,
    ) -> Batch:
        series = [
            self.table.intern("", {"__name__": name, "service": "api", "instance": target})
            for target in targets
        ]
        values = np.full(len(series), value)
        return Batch("", time_s, np.array(series, np.int32), values, history)

    def said(self, batches: list[Batch]) -> list[tuple[str, float, list[float]]]:
        return [(b.rule, b.time_s, b.values.tolist()) for b in batches]


TARGETS = "abcdefghij"


def one_interval(
    fleet: Fleet, begin_s: float, without: str = ""
) -> list[tuple[str, float, list[float]]]:
    """Ten targets, a second apart."""
    found = []
    for n, target in enumerate(TARGETS):
        if target not in without:
            found += fleet.feed(begin_s + n, target)
    return found


def test_ten_targets_are_one_value_an_interval_and_never_a_part_of_it() -> None:
    fleet = Fleet(r="memory")
    found = [one_interval(fleet, 15.0 * n) for n in range(5)]
    assert found[0] == [], "nobody knows yet who belongs to it"
    assert found[1] == [("r", 9.0, [10.0]), ("r", 24.0, [10.0])]
    assert found[2:] == [[("r", 15.0 * n + 9, [10.0])] for n in range(2, 5)]


def test_a_target_that_dies_is_waited_for_once_or_twice() -> None:
    fleet = Fleet(r="memory")
    for n in range(4):
        one_interval(fleet, 15.0 * n)
    late = [one_interval(fleet, 15.0 * n, without="j") for n in range(4, 12)]
    times = [time_s for found in late for _, time_s, _ in found]
    assert times == [15.0 * n + 8 for n in range(4, 12)]
    assert [len(found) for found in late][3:] == [1] * 5, "no longer late"
    assert late[-1] == [("r", 15.0 * 11 + 8, [9.0])], "older than the window"


def test_a_new_target_belongs_from_its_first_sample_on() -> None:
    fleet = Fleet(r="memory")
    for n in range(3):
        one_interval(fleet, 15.0 * n, without="e")
    found = [values for n in range(3, 6) for _, _, values in one_interval(fleet, 15.0 * n)]
    assert found == [[10.0]] * 3


def test_after_an_outage_of_all_there_is_no_sum_of_some() -> None:
    fleet = Fleet(r="memory")
    for n in range(4):
        one_interval(fleet, 15.0 * n)
    after = [one_interval(fleet, 1000.0 + 15 * n) for n in range(3)]
    assert after == [[("r", 1009.0 + 15 * n, [10.0])] for n in range(3)]


def test_what_comes_by_itself_waits_for_nobody() -> None:
    fleet = Fleet(hot="temperature", r="memory")
    for n in range(4):
        one_interval(fleet, 15.0 * n)
        fleet.feed(15.0 * n + 9.5, "probe", 20.0, "temperature")
    fleet.feed(60.0, "a")
    assert fleet.feed(61.0, "probe", 95.0, "temperature") == [("hot", 61.0, [95.0])]


def test_events_are_not_waited_for() -> None:
    """Two doors that open at odd times: neither is due."""
    fleet, random, times = Fleet(doors="door"), np.random.default_rng(1), []
    now = 0.0
    for n in range(40):
        now += float(random.uniform(5, 300))
        found = fleet.feed(now, "ab"[n % 2], float(n), "door")
        times += [time_s == now for _, time_s, _ in found][-1:] or [False]
    assert sum(times[5:]) > 25


def test_the_parts_of_one_scrape_are_one_value() -> None:
    """Prometheus splits it into requests, in any order."""
    fleet = Fleet(r="memory")
    for n in range(5):
        found = []
        for part in ("abc", "defg", "hij") if n % 2 else ("hij", "abc", "defg"):
            found += fleet.transforms.feed(fleet.batch(15.0 * n, list(part)))
        said = fleet.said(found)
        assert said == ([], [("r", 0.0, [10.0]), ("r", 15.0, [10.0])])[n] if n < 2 else True
        assert n < 2 or said == [("r", 15.0 * n, [10.0])]


def test_a_slow_one_does_not_hold_up_a_fast_one() -> None:
    fleet, values = Fleet(r="memory"), []
    for second in range(120):
        values += fleet.feed(float(second), "fast")
        if second % 30 == 7:
            values += fleet.feed(second + 0.5, "slow")
    delays = np.diff([time_s for _, time_s, _ in values])
    assert delays.max() <= 2.0
    assert len(values) >= 110
    assert {one[0] for _, _, one in values[10:]} == {2.0}


def test_a_round_ends_at_the_longest_pause() -> None:
    """However it begins: these two are half a second apart, and the rest of the time is silent."""
    fleet = Fleet(r="memory")
    fleet.feed(0.5, "b")
    found = []
    for n in range(1, 8):
        found += fleet.feed(15.0 * n, "a") + fleet.feed(15.0 * n + 0.5, "b")
    assert found[-4:] == [("r", 15.0 * n + 0.5, [2.0]) for n in range(4, 8)]


def test_time_that_passes_ends_a_round() -> None:
    fleet = Fleet(r="memory")
    for n in range(4):
        one_interval(fleet, 15.0 * n)
    assert fleet.feed(60.0, "a") == []
    assert fleet.said(fleet.transforms.tick(70.0)) == []
    assert fleet.said(fleet.transforms.tick(80.0)) == [("r", 60.0, [10.0])]
    assert fleet.said(fleet.transforms.tick(81.0)) == []


def test_a_first_round_does_not_last_for_ever() -> None:
    fleet = Fleet(r="memory")
    assert fleet.feed(0.0, "a") == []
    assert fleet.said(fleet.transforms.tick(LONGEST_SECS + 1)) == [("r", 0.0, [1.0])]


def test_any_later_sample_ends_what_waited_too_long() -> None:
    fleet = Fleet(hot="temperature", r="memory")
    fleet.feed(0.0, "a")
    found = fleet.feed(LONGEST_SECS + 1, "probe", 20.0, "temperature")
    assert found == [("r", 0.0, [1.0])]


def test_a_series_that_nothing_is_put_together_with_is_not_held() -> None:
    table = SeriesTable()
    alone = Transforms({"r": compile_selection("memory")}, table)
    series = np.array([table.intern("", {"__name__": "memory", "pod": "a"})], np.int32)
    assert [b.values.tolist() for b in alone.feed(Batch("", 0.0, series, np.ones(1)))] == [[1.0]]


def test_history_and_now_are_not_mixed() -> None:
    fleet = Fleet(r="memory")
    assert fleet.feed(0.0, "a", history=True) == []
    ended = fleet.transforms.feed(fleet.batch(5.0, ["b"]))
    assert [(b.time_s, b.history) for b in ended] == [(0.0, True), (5.0, False)]


def test_history_is_not_ended_by_the_clock_of_today() -> None:
    fleet = Fleet(r="memory")
    fleet.feed(0.0, "a", history=True)
    assert fleet.transforms.tick(1e9) == []


def test_metrics_that_a_new_one_joins_become_one_circle() -> None:
    """A selection by pattern is not known to look at both until there is a name for both."""
    fleet = Fleet(a="memory", b='{__name__=~"mem.*|disk"}', c="disk")
    fleet.feed(0.0, "x", 1.0)
    fleet.feed(0.1, "x", 2.0, "disk")
    for n in range(1, 5):
        found = fleet.feed(15.0 * n, "x", 1.0) + fleet.feed(15.0 * n + 0.1, "x", 2.0, "disk")
    assert sorted(found) == [("a", 60.1, [1.0]), ("b", 60.1, [3.0]), ("c", 60.1, [2.0])]


def test_an_awaited_series_that_is_forgotten_is_not_awaited() -> None:
    fleet = Fleet(r="memory")
    for n in range(4):
        one_interval(fleet, 15.0 * n)
    fleet.feed(60.0, "a")
    gone = fleet.batch(0.0, [*TARGETS[2:], "a"]).series
    fleet.transforms.forget(gone)
    assert fleet.feed(61.0, "b") == [("r", 61.0, [1.0])]


@pytest.mark.parametrize("cut", range(0, 40, 3))
def test_a_restart_within_a_round_changes_nothing(cut: int) -> None:
    whole, first = Fleet(a="memory", b="memory"), Fleet(a="memory", b="memory")
    steps = [(15.0 * n + k, target) for n in range(4) for k, target in enumerate(TARGETS)]
    wanted = [whole.feed(*step) for step in steps]
    found = [first.feed(*step) for step in steps[:cut]]
    second = Fleet(a="memory", b="memory")
    second.table.load(first.table.save())
    second.transforms.load(first.transforms.save())
    assert second.transforms.save() == first.transforms.save()
    found += [second.feed(*step) for step in steps[cut:]]
    assert found == wanted


def test_what_waited_is_not_lost_when_the_rules_are_others_by_now() -> None:
    first, second = Fleet(a="memory"), Fleet(b="memory")
    for n in range(3):
        one_interval(first, 15.0 * n)
    first.feed(45.0, "a", 5.0)
    second.table.load(first.table.save())
    second.transforms.load(first.transforms.save())
    assert second.feed(46.0, "b", 7.0) == []
    assert second.feed(60.0, "a", 6.0)[0] == ("b", 46.0, [12.0])


def test_a_clock_that_was_ahead_holds_nothing_up() -> None:
    fleet = Fleet(r="memory")
    for n in range(3):
        one_interval(fleet, 1e6 + 15.0 * n)
    fleet.transforms.rewind(100.0)
    found = [one_interval(fleet, 101.0 + 15 * n) for n in range(4)]
    assert found[-1] == [("r", 155.0, [10.0])]


def test_a_sender_that_lags_says_nothing_at_a_wrong_time() -> None:
    """A group that it is all of is judged at its time; one that has passed it is judged once."""
    fleet = Fleet(r="memory")
    for n in range(6):
        fleet.feed(15.0 * n, "a", float(n))
        fleet.feed(15.0 * n + 1, "b", 10.0)
    ahead = [found for n in range(6, 10) for found in fleet.feed(15.0 * n, "a", float(n))]
    assert {time_s for _, time_s, _ in ahead} <= {15.0 * n for n in range(5, 10)}
    behind = [found for n in range(6, 10) for found in fleet.feed(15.0 * n + 1, "b", 10.0)]
    assert all(time_s in {15.0 * n + 1 for n in range(6, 10)} | {135.0} for _, time_s, _ in behind)


@pytest.mark.parametrize("by", [(), ("instance",)])
def test_a_fast_one_that_lags_is_not_judged_ahead_of_its_next_sample(by: tuple[str, ...]) -> None:
    """It comes while others of the round are awaited; its next sample is older than the round."""
    fleet = Fleet(r="memory")
    fleet.transforms = Transforms({"r": compile_selection("memory", by=by)}, fleet.table)
    times = [(1000.0 + n, "fast") for n in range(38)]
    times += [(1000.2 + 10 * n, "slow") for n in range(4)]
    times += [(1000.5 + 10 * n, "other") for n in range(4)]
    for time_s, target in sorted(times):
        fleet.feed(time_s, target)
    said = fleet.feed(1040.2, "slow") + fleet.feed(1038.0, "fast") + fleet.feed(1040.5, "other")
    said += fleet.feed(1039.0, "fast")
    assert [(time_s, len(values)) for _, time_s, values in said if values] == [
        (1038.0, 1), (1040.5, 2), (1039.0, 1),
    ]  # fmt: skip


def test_a_window_shorter_than_a_round_still_counts_the_whole_round() -> None:
    fleet = Fleet(r="memory")
    short = compile_selection("memory", by=("service",), window_secs=3.0)
    fleet.transforms = Transforms({"r": short}, fleet.table)
    found = [one_interval(fleet, 15.0 * n) for n in range(4)]
    assert found[-1] == [("r", 54.0, [10.0])]


def test_a_group_that_is_wholly_late_is_judged_at_its_own_time() -> None:
    table, found = SeriesTable(), []
    transforms = Transforms({"r": compile_selection("memory", by=("service",))}, table)
    series = {
        name: np.array([table.intern("", {"__name__": "memory", "service": name})], np.int32)
        for name in ("near", "far")
    }

    def feed(time_s: float, name: str) -> None:
        for out in transforms.feed(Batch("", time_s, series[name], np.array([time_s]))):
            kept = table.record(out)
            names = [table.labels(i)["service"] for i in kept.series.tolist()]
            found.extend(zip(names, [kept.time_s] * len(names), kept.values.tolist(), strict=True))

    for n in range(5):
        feed(15.0 * n, "near")
        feed(15.0 * n, "far")
    for name in ("near", "far"):
        for n in range(5, 10):
            feed(15.0 * n, name)
    for name in ("near", "far"):
        mine = [(time_s, value) for who, time_s, value in found if who == name]
        assert mine == [(15.0 * n, 15.0 * n) for n in range(len(mine))]
        assert len(mine) >= 9


def test_circles_that_have_members_already_become_one() -> None:
    fleet = Fleet(a='{__name__=~"memory|both"}', c='{__name__=~"disk|both"}')
    apart, joined = [], []
    for n in range(10):
        found = fleet.feed(15.0 * n, "x", 1.0) + fleet.feed(15.0 * n + 0.1, "x", 2.0, "disk")
        if n >= 5:
            found += fleet.feed(15.0 * n + 0.2, "x", 4.0, "both")
        (joined if n >= 7 else apart).append(found)
    assert apart[4] == [("a", 60.0, [1.0]), ("c", 60.1, [2.0])]
    assert joined == [
        [("a", 15.0 * n + 0.2, [5.0]), ("c", 15.0 * n + 0.2, [6.0])] for n in range(7, 10)
    ]

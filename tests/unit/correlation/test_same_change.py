"""One change that several tell of is one; two changes are two."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

from aiopsd.correlation.change_words import in_words
from aiopsd.correlation.changes import MOST, Ledger
from aiopsd.correlation.own_changes import changes_of, service_of
from aiopsd.correlation.same_change import merged, same
from aiopsd.model import Change, Run, StepRecord

T0 = 1_000_000.0
SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"


def change(source: str, secs: float = 0.0, **more: Any) -> Change:
    made = {"id": f"{source}:{secs}", "kind": "deploy", "service": "shop", "source": source}
    return Change(**{**made, "time_s": T0 + secs, **more})


GITHUB = change("github", version=SHA[:12], author="alice", migration=True,
                labels={"commit": SHA[:12], "environment": "prod"})  # fmt: skip
LABEL = change("service_release", 90, version="v2", previous="v1", labels={"version": "v2"})


def test_the_same_deploy_told_by_github_and_by_the_version_label() -> None:
    assert same(GITHUB, LABEL)
    both = merged(GITHUB, LABEL)
    assert (both.id, both.time_s, both.source) == ("github:0.0", T0, "github, service_release")
    assert (both.version, both.previous, both.author) == ("v2", "v1", "alice")
    assert both.migration
    assert both.labels == {"commit": SHA[:12], "environment": "prod", "version": "v2"}


@dataclass(frozen=True)
class Pair:
    why: str
    other: Change
    is_same: bool


@pytest.mark.parametrize(
    "pair",
    [
        Pair("another service", change("x", 9, service="cart", version="v2"), False),
        Pair("the same teller twice", change("service_release", 100, version="v2"), False),
        Pair("of another kind", change("x", 91, kind="config", version="v2"), False),
        Pair("another tag", change("x", 91, version="v3"), False),
        Pair("the same tag, with and without v", change("x", 91, version="2"), True),
        Pair("the same tag of an image", change("x", 91, version="reg.io:5000/shop:v2"), True),
        Pair("the same tag, a slow roll-out", change("x", 90 + 1700, version="v2"), True),
        Pair("the same tag, the next hour", change("x", 90 + 3600, version="v2"), False),
        Pair("a commit, just then", change("x", 91, version=SHA), True),
        Pair("a commit, much later", change("x", 90 + 400, version=SHA), False),
        Pair("no version, just then", change("x", 91), True),
    ],
    ids=lambda pair: pair.why,
)
def test_what_is_the_same(pair: Pair) -> None:
    assert same(LABEL, pair.other) is same(pair.other, LABEL) is pair.is_same


def test_commits_are_cut_and_are_still_the_same() -> None:
    assert same(GITHUB, change("argocd", 1700, version=SHA))
    assert not same(GITHUB, change("argocd", 10, version="a" * 40))


def test_scaling_and_restarts_are_done_in_a_moment() -> None:
    scaled = change("rule", kind="scale", version="5")
    assert same(scaled, change("argocd", 30, kind="scale", version="5"))
    assert not same(scaled, change("argocd", 30, kind="scale", version="6"))
    assert not same(scaled, change("argocd", 300, kind="scale", version="5"))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_in_whatever_order_it_is_told(order: tuple[int, ...]) -> None:
    """Only the id is that of the first."""
    said = [GITHUB, LABEL, change("argocd", 30, version=SHA, author="bot")]
    ledger = Ledger()
    for place in order:
        ledger.add(said[place])
    (one,) = ledger.newest()
    assert one.id == said[order[0]].id
    assert (one.time_s, one.version, one.previous) == (T0, "v2", "v1")
    assert set(one.source.split(", ")) == {"github", "service_release", "argocd"}


def test_two_deploys_minutes_apart_stay_two() -> None:
    """Each told by both."""
    ledger = Ledger()
    for secs, commit, tag in ((0.0, "a" * 12, "v2"), (200.0, "b" * 12, "v3")):
        ledger.add(change("github", secs, version=commit))
        ledger.add(change("label", secs + 30, version=tag))
    assert [(one.version, one.time_s - T0) for one in ledger.newest()] == [("v3", 200), ("v2", 0)]


def test_a_change_that_goes_on_is_told_anew_under_its_id() -> None:
    """And is still the one that it was joined with."""
    ledger = Ledger()
    ledger.add(LABEL)
    ledger.add(change("github", 80, id="d", version=SHA, labels={"state": "in_progress"}))
    ledger.add(change("github", 120, id="d", version=SHA, labels={"state": "success"}))
    (one,) = ledger.newest()
    assert (one.id, one.labels["state"], one.time_s) == (LABEL.id, "success", T0 + 80)


def test_what_goes_on_keeps_what_was_known_of_it() -> None:
    """Argo CD knows the one before only while it is at it, and the new one for sure at the end."""
    begun = change("argocd", id="s", previous="a" * 12)
    ended = change("argocd", 40, id="s", version="b" * 12)
    both = merged(begun, ended)
    assert (both.version, both.previous, both.time_s) == ("b" * 12, "a" * 12, T0)


def test_the_ledger_is_the_same_after_a_restart() -> None:
    """The journal has what was told, in order."""
    told = [GITHUB, LABEL, change("github", 400, version="c" * 12), change("x", 401, kind="flag")]
    first, later = Ledger(), Ledger()
    for one in told:
        first.add(one)
    for one in told:
        later.add(one)
    assert first.newest() == later.newest()
    assert len(first) == 3


def test_the_ledger_is_bounded() -> None:
    ledger = Ledger()
    for number in range(MOST + 50):
        ledger.add(change("x", number / 10, id=str(number), service=f"s{number}"))
    assert len(ledger) <= MOST
    assert ledger.newest()[0].id == str(MOST + 49)
    assert len(ledger._ids) == len(ledger) == sum(map(len, ledger._of.values()))


# --- ours ---------------------------------------------------------------------------------


def run(*steps: StepRecord, **more: Any) -> Run:
    made = {"id": "RUN-1", "incident": "INC-1", "playbook": "restart-unit", "digest": "d"}
    return Run(**{**made, "target": "systemd/unit/web1/shop.service", "started_s": T0,
                  "steps": steps, **more})  # fmt: skip


RESTART = StepRecord(id="act", do="systemd.restart", state="done", started_s=T0 + 5,
                     inputs={"token": "hunter2"})  # fmt: skip


def test_what_a_run_did_is_a_change_by_us() -> None:
    (one,) = changes_of(run(RESTART))
    assert (one.kind, one.service, one.author, one.time_s) == ("restart", "shop", "aiopsd", T0 + 5)
    assert one.labels["playbook"] == "restart-unit"
    assert "hunter2" not in repr(one)


def test_what_was_not_done_is_none() -> None:
    planned = StepRecord(id="act", do="systemd.restart")
    failed = StepRecord(id="act", do="systemd.restart", state="failed", started_s=T0)
    assert changes_of(run(planned, failed)) == []
    assert changes_of(run(RESTART, outcome="dry")) == []


def test_our_own_restart_is_the_one_that_journald_tells_of() -> None:
    (ours,) = changes_of(run(RESTART))
    seen = change("journal", 6, kind="restart", labels={"state": "restarted"})
    for told in ((ours, seen), (seen, ours)):
        ledger = Ledger()
        for one in told:
            ledger.add(one)
        (whole,) = ledger.newest()
        assert (whole.author, whole.time_s) == ("aiopsd", T0 + 5)
    assert not same(ours, change("journal", 200, kind="restart"))
    assert not same(ours, change("journal", -10, kind="restart"))  # that was before we began
    assert not same(ours, LABEL)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_release_that_our_command_set_is_ours(is_first: bool) -> None:
    command = StepRecord(id="back", do="command.run", state="done", started_s=T0 + 60)
    (ours,) = changes_of(run(command))
    ledger = Ledger()
    for one in (ours, LABEL) if is_first else (LABEL, ours):
        ledger.add(one)
    (whole,) = ledger.newest()
    assert (whole.kind, whole.author, whole.version) == ("deploy", "aiopsd", "v2")
    assert in_words(whole) == "deploy shop v1 -> v2 by aiopsd (playbook restart-unit)"


@pytest.mark.parametrize(
    ("target", "service"),
    [("service/shop", "shop"), ("systemd/unit/web1:9100/shop@2.service", "shop"), ("shop", "shop")],
)
def test_whom_a_target_is(target: str, service: str) -> None:
    assert service_of(target) == service


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (merged(GITHUB, LABEL), "deploy shop v1 -> v2 by alice, with a migration"),
        (change("x", kind="restart", author="aiopsd", labels={"state": "restarted"}),
         "restart shop (restarted) by aiopsd"),
        (change("x", kind="config"), "config shop"),
    ],
)  # fmt: skip
def test_how_people_read_it(told: Change, text: str) -> None:
    assert in_words(told) == text

"""What each delivery tool's own examples become, and what becomes of bodies that make no sense."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiopsd.model import Change
from aiopsd.sources import (
    changes_argocd,
    changes_generic,
    changes_github,
    changes_gitlab,
    changes_jenkins,
)
from aiopsd.sources.changes_body import MOST_TEXT, Body, seconds
from tests.loopback.recording import RECORDINGS

NOW_S = 1_795_500_000.0


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / "changes" / f"{name}.json").read_text())


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def github(event: str, said: Any) -> Change | None:
    return changes_github.change_of(event, Body(said, NOW_S))


def gitlab(said: Any) -> Change | None:
    body = Body(said, NOW_S)
    return changes_gitlab.change_of(body.text("object_kind"), body)


def generic(said: Any, **fields: str) -> Change | None:
    return changes_generic.change_of(Body(said, NOW_S), fields)


def made(change: Change | None) -> Change:
    assert change is not None
    return change


# --- GitHub -------------------------------------------------------------------------------


def test_a_deployment_on_github() -> None:
    assert github("deployment_status", recorded("github_deployment_status")) == Change(
        id="Codertocat/Hello-World/deployments/145988746",
        kind="deploy",
        time_s=at("2019-05-15T15:20:55Z"),
        service="Codertocat/Hello-World",
        version="f95f852bd8fc",
        author="Codertocat",
        labels={
            "repository": "Codertocat/Hello-World",
            "environment": "production",
            "commit": "f95f852bd8fc",
            "state": "success",
        },
    )


def test_all_that_is_said_of_a_deployment_is_one_change() -> None:
    """Requested, begun, done: under one id."""
    said = recorded("github_deployment_status")
    told = [github("deployment", said)]
    for state in ("in_progress", "success", "failure", "error"):
        said["deployment_status"]["state"] = state
        told.append(github("deployment_status", said))
    assert len({made(one).id for one in told}) == 1
    for state in ("queued", "pending", "inactive", "no such"):
        said["deployment_status"]["state"] = state
        assert github("deployment_status", said) is None


def test_a_deployment_names_its_service_its_tag_and_that_it_migrates() -> None:
    said = recorded("github_deployment_status")
    said["deployment"] |= {"ref": "v1.4.2", "task": "deploy:migrations",
                           "payload": {"service": "checkout"}}  # fmt: skip
    change = made(github("deployment_status", said))
    assert (change.service, change.version, change.migration) == ("checkout", "v1.4.2", True)
    said["deployment"] |= {"task": "deploy", "payload": {"migration": True}}
    assert made(github("deployment_status", said)).migration
    said["deployment"]["payload"] = '{"service": "a text"}'
    assert made(github("deployment_status", said)).service == "Codertocat/Hello-World"


def test_a_workflow_a_release_and_a_push_on_github() -> None:
    ran = made(github("workflow_run", recorded("github_workflow_run")))
    assert (ran.id, ran.labels["workflow"]) == ("octo-org/octo-repo/runs/289782451", "test")
    assert (ran.version, ran.time_s) == ("3484a3fb816e", at("2020-10-05T16:33:32Z"))
    skipped = recorded("github_workflow_run")
    skipped["workflow_run"]["conclusion"] = "skipped"
    assert github("workflow_run", skipped) is None
    released = made(github("release", recorded("github_release")))
    assert (released.version, released.author) == ("0.0.1", "Codertocat")
    assert github("release", recorded("github_release") | {"action": "edited"}) is None
    assert github("push", recorded("github_push_tag_deleted")) is None


def test_a_push_counts_on_the_default_branch_since_when_it_was_pushed() -> None:
    said = recorded("github_push_tag_deleted") | {
        "ref": "refs/heads/master",
        "after": "f95f852b" * 5,
    }
    said["commits"] = [{"added": ["db/migrate/2_add.rb"], "modified": None}, 5, {"added": [7]}]
    said["head_commit"] = {"timestamp": "2011-01-01T00:00:00Z", "message": "long ago"}
    change = made(github("push", said))
    assert (change.version, change.previous) == ("f95f852bf95f", "6113728f27ae")
    assert change.time_s == 1557933657
    assert change.migration
    assert github("push", said | {"ref": "refs/heads/feature"}) is None


# --- GitLab -------------------------------------------------------------------------------


def test_a_deployment_on_gitlab() -> None:
    assert gitlab(recorded("gitlab_deployment")) == Change(
        id="root/test-deployment-webhooks/deployments/15",
        kind="deploy",
        time_s=at("2021-04-28T21:50:00+02:00"),
        service="root/test-deployment-webhooks",
        version="279484c0",
        author="root",
        labels={
            "repository": "root/test-deployment-webhooks",
            "environment": "staging",
            "commit": "279484c0",
            "title": "Add new file",
            "state": "success",
        },
    )
    assert gitlab(recorded("gitlab_deployment") | {"status": "canceled"}) is None


def test_the_other_hooks_of_gitlab() -> None:
    pipeline = made(gitlab(recorded("gitlab_pipeline")))
    assert pipeline.id == "gitlab-org/gitlab-test/pipelines/31"
    assert (pipeline.version, pipeline.time_s) == ("bcbb5ec396a2", at("2016-08-12T15:26:29Z"))
    flag = made(gitlab(recorded("gitlab_feature_flag")))
    assert (flag.kind, flag.version, flag.previous) == ("flag", "on", "off")
    assert (flag.labels["flag"], flag.time_s) == ("test-feature-flag", NOW_S)
    release = made(gitlab(recorded("gitlab_release")))
    assert (release.version, release.time_s) == ("v1.1", at("2020-11-02T12:55:12Z"))
    push = made(gitlab(recorded("gitlab_push")))
    assert (push.version, push.previous, push.author) == ("da1560886d4f", "95790bf891e7", "jsmith")
    tag = made(gitlab(recorded("gitlab_tag_push")))
    assert (tag.version, tag.previous, tag.author) == ("v1.0.0", "", "John Smith")
    assert gitlab(recorded("gitlab_tag_push") | {"after": "0" * 40}) is None
    assert gitlab(recorded("gitlab_push") | {"ref": "refs/heads/other"}) is None


# --- Argo CD, Jenkins, generic ------------------------------------------------------------

SYNC = {
    "application": "checkout", "namespace": "shop", "phase": "Succeeded", "author": "alice",
    "repository": "https://git.example.com/shop.git", "revision": "ad2a5cc1" * 5,
    "wanted": "ad2a5cc1" * 5, "previous": "ad2a5cc1" * 5,
    "started_at": "2026-11-24T10:00:00Z", "finished_at": "2026-11-24T10:00:40Z",
    "images": ["registry.example.com/checkout:v2.3.1"],
}  # fmt: skip


def test_a_sync_of_argo_cd() -> None:
    body = Body(SYNC, at("2026-11-24T11:00:00Z"))
    change = changes_argocd.change_of("succeeded", body)
    assert (change.service, change.version, change.author) == ("checkout", "ad2a5cc1ad2a", "alice")
    assert change.time_s == at("2026-11-24T10:00:00Z")  # it works since it began
    assert change.labels["image"] == "registry.example.com/checkout:v2.3.1"
    assert change.previous == ""
    running = changes_argocd.change_of("running", Body(
        SYNC | {"finished_at": None, "revision": None, "previous": "0b5e" * 10}, NOW_S
    ))  # fmt: skip
    assert (running.id, running.version) == (change.id, change.version)
    assert running.previous == "0b5e0b5e0b5e"


def test_a_build_of_jenkins() -> None:
    said = recorded("jenkins_completed")
    change = made(changes_jenkins.change_of("completed", Body(said, NOW_S)))
    assert (change.id, change.service, change.version) == ("asgard/18", "asgard", "c6d86dc654b1")
    assert (change.time_s, change.labels["state"]) == (NOW_S, "success")
    said["build"] |= {"timestamp": 1_795_400_000_123, "phase": "STARTED", "status": "ABORTED",
                      "parameters": {"VERSION": "7", "SERVICE": "shop"}}  # fmt: skip
    said["build"]["scm"]["culprits"] = ["alice"]
    begun = made(changes_jenkins.change_of("started", Body(said, NOW_S)))
    assert begun.id == change.id
    assert (begun.service, begun.version, begun.author) == ("shop", "7", "alice")
    assert begun.time_s == 1_795_400_000.123
    assert changes_jenkins.change_of("completed", Body(said, NOW_S)) is None


def test_anything_else_by_a_mapping() -> None:
    said = {"app": {"name": "api"}, "v": 12, "who": [{"mail": "a@b.c"}], "on": 1_795_400_000}
    change = generic(said, kind="=flag", service="app.name", version="v", author="who.0.mail",
                     time="on", **{"labels.team": "=shop", "labels.none": "no.such"})  # fmt: skip
    assert change == Change(
        id="flag/api/12/1795400000",
        kind="flag",
        time_s=1_795_400_000.0,
        service="api",
        version="12",
        author="a@b.c",
        labels={"team": "shop"},
    )


def test_without_a_mapping_the_names_are_ours() -> None:
    said = {"service": "api", "version": "v2", "previous": "v1", "id": "d-7", "migration": True,
            "environment": "prod", "labels": {"team": "shop", "n": 3, "deep": {}}}  # fmt: skip
    change = made(generic(said))
    assert (change.kind, change.id, change.previous) == ("deploy", "d-7", "v1")
    assert change.migration
    assert change.labels == {"environment": "prod", "team": "shop", "n": "3"}
    assert generic({"kind": "party", "service": "api"}) is None


def test_keys_with_dots_are_quoted() -> None:
    said = {"labels": {"app.kubernetes.io/name": "api"}}
    assert Body(said, NOW_S).text('labels."app.kubernetes.io/name"') == "api"


# --- what makes no sense ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("2026-11-24T10:00:00.123456789Z", at("2026-11-24T10:00:00.123456Z")),
        ("2021-04-28 21:50:00 +0200", at("2021-04-28T19:50:00Z")),
        ("2016-08-12 15:23:28 UTC", at("2016-08-12T15:23:28Z")),
        ("2016-08-12 15:23:28", at("2016-08-12T15:23:28Z")),
        (1_795_400_000, 1_795_400_000.0),
        ("1795400000", 1_795_400_000.0),
        (1_795_400_000_500, 1_795_400_000.5),
        (1_795_400_000_500_000, 1_795_400_000.5),
        (1_795_400_000_500_000_000, 1_795_400_000.5),
        *((nothing, 0.0) for nothing in (None, True, "", "soon", -5, 0, {}, [1], 10**40, "9" * 60,
                                         float("inf"), "0000-00-00", "²")),
    ],
)  # fmt: skip
def test_times(said: Any, wanted: float) -> None:
    assert seconds(said) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("forged", ["9999-12-31T23:59:59-14:00", 4e9, "0001-01-01T00:00:00Z", -1])
def test_a_forged_time_is_now(forged: Any) -> None:
    """What has happened has happened by now."""
    assert made(generic({"service": "api", "time": forged})).time_s == NOW_S


def test_texts_are_short_and_of_one_line() -> None:
    said = {"service": "a\x1b[31m \u202eb\0\nc", "version": {"no": "text"}, "title": "word " * 999}
    change = made(generic(said))
    assert (change.service, change.version) == ("a[31m b", "")
    assert 150 < len(change.labels["title"]) <= MOST_TEXT


@pytest.mark.parametrize("before", range(150, 200, 7))
def test_a_word_that_is_cut_is_left_out(before: int) -> None:
    """It may be a token; what is left of it would be known to nobody for one."""
    title = "x" * before + " ghp_" + "R" * 60
    assert "ghp_" not in made(generic({"service": "a", "title": title})).labels["title"]
    assert "title" not in made(generic({"service": "a", "title": "ghp_" + "R" * 300})).labels


def test_labels_are_few() -> None:
    said = {"service": "api", "labels": {f"l{n}": "x" for n in range(1000)}}
    assert len(made(generic(said)).labels) <= 20


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3),
    max_leaves=8,
)  # fmt: skip
NAMES = sorted(path.stem for path in (RECORDINGS / "changes").glob("*.json"))


@given(st.sampled_from(NAMES), st.data())
@settings(max_examples=150, deadline=None)
def test_wrong_types_raise_nothing(name: str, data: st.DataObject) -> None:
    said = recorded(name)
    place: Any = said
    while True:  # somewhere in it, something else
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(ANYTHING)
    body = Body(said, NOW_S)
    for event in changes_github.EVENTS:
        changes_github.change_of(event, body)
    for event in changes_gitlab.EVENTS:
        changes_gitlab.change_of(event, body)
    changes_argocd.change_of("running", body)
    changes_jenkins.change_of("started", body)
    changes_generic.change_of(body, {"service": key})

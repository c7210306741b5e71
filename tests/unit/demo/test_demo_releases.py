"""The book of releases knows what is current and what was before, whatever interrupts it."""

import json
from pathlib import Path

import pytest

from aiopsd.demo import release
from aiopsd.demo.releases import Release, Releases
from aiopsd.errors import ConfigError, Refused

GOOD, BAD = (
    Release("v1.41", None, "mara@shop.example"),
    Release("v1.42", "slow", "jon@shop.example"),
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a shop whose payments run v1.41."""
    releases = Releases(tmp_path / "releases")
    releases.add("payments", "v1", GOOD)
    releases.add("payments", "v2", BAD)
    assert releases.make_current("payments", "v1.41", now=100.0)
    notes = {"supervisor": 1, "services": {"payments": {"port": 1, "pid": None, "calls": []}}}
    (tmp_path / "shop.json").write_text(json.dumps(notes))
    return tmp_path


def test_the_first_release_has_nothing_before_it(shop: Path) -> None:
    assert release.show(shop, "payments") == {
        "service": "payments",
        "version": "v1.41",
        "previous": None,
        "revision": 1,
        "previous_revision": None,
        "by": "mara@shop.example",
        "deployed_at": 100.0,
    }
    with pytest.raises(Refused, match="payments has no previous release"):
        release.rollback(shop, "payments")


def test_a_new_release_remembers_the_one_before(shop: Path) -> None:
    releases = Releases(shop / "releases")
    assert releases.make_current("payments", "v1.42", now=200.0)
    assert releases.current("payments") == BAD
    assert (shop / "releases" / "payments" / "current").readlink() == Path("v2.json")
    shown = release.show(shop, "payments")
    assert (shown["version"], shown["previous"]) == ("v1.42", "v1.41")
    assert (shown["revision"], shown["previous_revision"]) == (2, 1)
    assert (shown["by"], shown["deployed_at"]) == ("jon@shop.example", 200.0)
    assert "fault" not in shown


def test_going_back_is_a_new_revision(shop: Path) -> None:
    releases = Releases(shop / "releases")
    releases.make_current("payments", "v1.42", now=200.0)
    releases.make_current("payments", "v1.41", now=300.0)
    assert [(r.revision, r.version) for r in releases.history("payments")] == [
        (1, "v1.41"),
        (2, "v1.42"),
        (3, "v1.41"),
    ]


def test_the_current_version_again_changes_nothing(shop: Path) -> None:
    releases = Releases(shop / "releases")
    assert not releases.make_current("payments", "v1.41", now=999.0)
    assert len(releases.history("payments")) == 1


def test_an_interrupted_deployment_is_finished_and_recorded_once(shop: Path) -> None:
    releases = Releases(shop / "releases")
    releases.make_current("payments", "v1.42", now=200.0)
    link = shop / "releases" / "payments" / "current"
    link.unlink()
    link.symlink_to("v1.json")  # as if killed between the record and the flip
    assert releases.make_current("payments", "v1.42", now=300.0)
    assert releases.current("payments") == BAD
    assert [r.version for r in releases.history("payments")] == ["v1.41", "v1.42"]


def test_what_does_not_exist_is_named(shop: Path) -> None:
    releases = Releases(shop / "releases")
    with pytest.raises(Refused, match=r"payments has no release v9; there are: v1\.41, v1\.42"):
        releases.make_current("payments", "v9", now=200.0)
    with pytest.raises(ConfigError, match="no releases of 'tax'"):
        releases.current("tax")
    with pytest.raises(ConfigError, match="the shop has no service 'tax'; there are: payments"):
        release.show(shop, "tax")
    with pytest.raises(ConfigError, match="no running shop in"):
        release.show(shop / "elsewhere", "payments")


def test_a_broken_release_file_is_named(shop: Path) -> None:
    path = shop / "releases" / "payments" / "v1.json"
    path.write_text('{"version": "v1.41"}')
    with pytest.raises(ConfigError, match="holds no release"):
        Releases(shop / "releases").current("payments")

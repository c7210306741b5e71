"""The key of the pseudonyms: one for its time, for one user, whole or not at all."""

from pathlib import Path

import pytest

from aiopsd.errors import ConfigError
from aiopsd.redaction.keyring import KeyRing

DAY_SECS = 86_400.0


def ring(folder: Path, rotate_secs: float | None = 30 * DAY_SECS) -> KeyRing:
    return KeyRing(folder / "state" / "redaction.key", rotate_secs, 90 * DAY_SECS)


def test_a_key_is_made_once_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    key = ring(tmp_path).key(0.0)
    assert len(key) == 32
    assert ring(tmp_path).key(29 * DAY_SECS) == key
    path = tmp_path / "state" / "redaction.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["redaction.key"]


def test_a_worn_key_is_replaced_and_kept_for_as_long_as_what_it_wrote(tmp_path: Path) -> None:
    kept, path = ring(tmp_path), tmp_path / "state" / "redaction.key"
    first = kept.key(0.0)
    second = kept.key(30 * DAY_SECS)
    assert second != first
    assert kept.key(31 * DAY_SECS) == second
    assert first.hex() in path.read_text()
    third = kept.key(121 * DAY_SECS)
    assert first.hex() not in path.read_text()
    assert second.hex() in path.read_text()
    assert third not in (first, second)
    assert path.stat().st_mode & 0o777 == 0o600


def test_for_ever(tmp_path: Path) -> None:
    kept = ring(tmp_path, None)
    assert kept.key(0.0) == kept.key(1e9)


@pytest.mark.parametrize("text", ["", "{}", '[{"since_s": 0, "hex": "ab"}]', '[{"hex": "zz"}]'])
def test_a_damaged_file_is_named_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state" / "redaction.key"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"redaction\.key is damaged"):
        ring(tmp_path).key(0.0)
    assert path.read_text() == text


def test_without_room_for_a_new_key_the_old_one_goes_on(tmp_path: Path) -> None:
    kept = ring(tmp_path)
    key = kept.key(0.0)
    (tmp_path / "state" / "redaction.new").mkdir()
    assert kept.key(31 * DAY_SECS) == key
    (tmp_path / "state" / "redaction.new").rmdir()
    assert kept.key(31 * DAY_SECS) != key


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(ConfigError, match=r"redaction\.key"):
        ring(tmp_path).key(0.0)

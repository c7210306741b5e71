"""What ships in systemd/ is well-formed and as closed as the README says."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.systemd_analyze

SHIPPED = Path(__file__).parents[2] / "systemd"
EXAMPLES = sorted((SHIPPED / "aiopsd.service.d").glob("*.conf.example"))
PROGRAMS = ("/usr/bin/aiopsd", "/opt/aiopsd/bin/aiopsd")


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, its program replaced by one that every machine has (verify looks for it)."""
    return _copy(SHIPPED / "aiopsd.service", tmp_path / "aiopsd.service")


def _copy(source: Path, target: Path) -> Path:
    text = source.read_text()
    for program in PROGRAMS:
        text = text.replace(f"={program} ", "=/bin/true ")
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    return target


def test_verify_has_nothing_to_say(unit: Path) -> None:
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_exposure_is_at_most_one_and_a_half(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=15", unit)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_verify_has_nothing_to_say_with(example: Path, unit: Path) -> None:
    _copy(example, unit.parent / "aiopsd.service.d" / example.stem)
    done = analyze("verify", "--man=no", unit)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_example_is_found_in_the_readme() -> None:
    text = (SHIPPED / "README.md").read_text()
    assert EXAMPLES
    assert not [e.name for e in EXAMPLES if e.name.removesuffix(".conf.example") not in text]

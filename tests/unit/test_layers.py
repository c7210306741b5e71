"""The house reads downwards and thinking stays pure: import-linter says so on every run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_import_contracts_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_help_imports_nothing_heavy(command: str) -> None:
    """So that --help is quick: measured by what is imported, not by a stopwatch."""
    code = (
        "import sys; sys.argv = ['aiopsd', sys.argv[1]]\n"
        "from aiopsd.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'aiohttp', 'msgspec', 'ruamel', 'cel_expr_python', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_every_command_has_help_with_an_example() -> None:
    from aiopsd.cli import COMMANDS

    for name in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "aiopsd", name, "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert f"aiopsd {name}" in done.stdout.split("example:")[1]

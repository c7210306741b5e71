"""What people write wrongly: every wrong entry is named with its place; nothing is half done."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import PLAYBOOK, RULES
from tests.e2e.daemon import Daemon
from tests.loopback.exporter import Exporter

CONFIG = """\
sources:
  app: {type: scrape, targets: ["http://127.0.0.1:1/metrics"], every: 5}
  log: {type: lokki, url: "http://127.0.0.1:2"}
automation: {mode: atuo}
limits: {chekpoint: 30s}
limits: {grace: 10s}
state: state
"""
RULES_WRONG = """\
pack: wrong
rules:
  - id: good
    select: up
    detector: {type: threshold, below: 0.5}
  - id: bad
    select: up{
    detector: {type: threshold, above: 1}
  - {id: bad2, select: up, every: 5 s, detector: {type: band, flor: 1}}
"""
PLAYBOOK_WRONG = PLAYBOOK.replace("PROBE", "").replace("verify:", "verfy:")
TORN = "pack: torn\nrules: [\n"

EXIT = {"check": 1, "run": 78}  # EX_CONFIG of sysexits.h: starting again would not help

WRONG = [
    (r"aiopsd\.yaml:2:\d+: not a duration: 5; write 90s, 15m, 1h30m; did you mean 5s\?"),
    (r"aiopsd\.yaml:3:\d+: unknown type 'lokki'; did you mean 'loki'\?"),
    (r"aiopsd\.yaml:4:\d+: 'atuo' is not allowed; did you mean 'auto'\?"),
    (r"aiopsd\.yaml:5:\d+: unknown key 'chekpoint'; did you mean 'checkpoint'\?"),
    (r"aiopsd\.yaml:6:1: duplicate key 'limits'; it already stands on line 5"),
]
WRONG_BELOW = [
    (r"rules/torn\.yaml:\d+:\d+: not valid YAML: .+"),
    (r"rules/wrong\.yaml:6:\d+: `select`, column 4: expected a label name, but the text ends"),
    (r"rules/wrong\.yaml:9:\d+: not a duration: '5 s'; write 90s, 15m, 1h30m"),
    (r"rules/wrong\.yaml:9:\d+: unknown key 'flor'; did you mean 'floor'\?"),
    (r"playbooks/cure\.yaml:\d+:\d+: unknown key 'verfy'; did you mean 'verify'\?"),
    (r"playbooks/cure\.yaml:\d+:\d+: `verify` is missing"),
    (r"aiopsd\.yaml:\d+:\d+: no secret file 'no-token'.*"),
]


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


async def said(command: str, folder: Path, config: str = "aiopsd.yaml") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiopsd", command, "-c", str(folder / config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=Path(__file__).parents[2],
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


def check(output: str, wanted: list[str]) -> None:
    """Every wanted complaint once, and no other one with a place."""
    assert "Traceback" not in output
    placed = [line for line in output.splitlines() if re.search(r":\d+:\d+: ", line)]
    for pattern in wanted:
        fitting = [line for line in placed if re.search(pattern + "$", line)]
        assert len(fitting) == 1, f"{pattern}\n{output}"
    assert len(placed) == len(wanted), output


@pytest.mark.parametrize("command", ["check", "run"])
async def test_every_wrong_entry_of_the_configuration(command: str, tmp_path: Path) -> None:
    write(tmp_path, aiopsd=CONFIG)
    code, output = await said(command, tmp_path)
    assert code == EXIT[command]
    check(output, WRONG)
    assert not (tmp_path / "state").exists(), "it began all the same"


@pytest.mark.parametrize("command", ["check", "run"])
async def test_every_wrong_entry_below_it(command: str, tmp_path: Path) -> None:
    config = (
        'sources: {app: {type: scrape, targets: ["http://127.0.0.1:1/metrics"]}}\n'
        "notifiers: {ops: {type: slack, channel: ops, token_file: no-token}}\n"
    )
    write(
        tmp_path,
        aiopsd=config,
        rules__wrong=RULES_WRONG,
        rules__torn=TORN,
        playbooks__cure=PLAYBOOK_WRONG,
    )
    code, output = await said(command, tmp_path)
    assert code == EXIT[command]
    check(output, WRONG_BELOW)


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "the file is empty; `aiopsd init` writes one that works"),
        (b"sources: {a: \xff}", "is not UTF-8 text (byte 13)"),
        (b"- a\n- list\n", "expected a mapping"),
        (b"sources: !!python/object:os.system {}", "tags are not used here"),
        (b"a: &a [*a]", "aliases repeat too much here"),
        (b"sources: {}\nrules: nowhere\n", "cannot read the folder"),
        (b"a: " + b"[" * 100_000, "not valid YAML"),
        (b"x" * 2_000_000, "is larger than 1,000,000 bytes"),
        (b"sources: {}\n---\nsources: {}\n", "not valid YAML"),
    ],
)
async def test_what_is_no_configuration(
    command: str, config: bytes | None, words: str, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "aiopsd.yaml").write_bytes(config)
    code, output = await said(command, tmp_path)
    assert code == EXIT[command]
    assert "Traceback" not in output
    assert re.search(r"aiopsd\.yaml:\d+:\d+: .*" + re.escape(words), output), output


async def test_a_reload_takes_all_or_nothing(daemon: Daemon, exporter: Exporter) -> None:
    """A broken playbook keeps what was there, an incident too; a good one is taken."""
    (daemon.folder / "playbooks" / "cure.yaml").unlink()
    await daemon.start()
    exporter.gauges['sick{service="api"}'] = 1.0
    (incident,) = await daemon.until(daemon.open_incidents)

    write(daemon.folder, playbooks__cure=PLAYBOOK_WRONG, rules__more=TORN)
    daemon.signal(signal.SIGHUP)
    refused = await daemon.until(lambda: daemon.log_lines("not reloaded:"))
    assert {Path(line.split("not reloaded: ")[1].split(":")[0]).name for line in refused} == {
        "more.yaml",
        "cure.yaml",
    }
    assert not daemon.log_lines(" reloading")
    assert [i["id"] for i in daemon.open_incidents()] == [incident["id"]]
    assert daemon.get("/readyz")[0] == 200

    write(
        daemon.folder,
        playbooks__cure=PLAYBOOK.replace("PROBE", ', probe_argv: [./probe, "${root.service}"]'),
        rules__more=RULES.replace("sick", "pale").replace("pack: test", "pack: more"),
    )
    daemon.signal(signal.SIGHUP)
    await daemon.until(lambda: daemon.log_lines("ready rules=2 playbooks=1"))
    exporter.gauges['pale{service="db"}'] = 1.0
    await daemon.until(lambda: len(daemon.open_incidents()) == 2)
    await daemon.until(lambda: (daemon.folder / "cured").exists())
    exporter.gauges['sick{service="api"}'] = exporter.gauges['pale{service="db"}'] = 0.0
    await daemon.until(lambda: not daemon.open_incidents())
    assert "Traceback" not in daemon.log()
    assert await daemon.stop() == 0
    assert incident["id"] in {event.id for event in await daemon.events()}

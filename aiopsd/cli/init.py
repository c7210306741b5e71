"""``aiopsd init``: writes a configuration that works, from what is there to be watched."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yarl import URL

    from aiopsd.sources.fetch import Fetcher

EXAMPLE = """aiopsd init --prometheus http://127.0.0.1:9090 --loki http://127.0.0.1:3100
  aiopsd init --file '/var/log/app/*.log' --journal   logs alone"""
TIMEOUT_SECS = 15.0
MAX_BODY_BYTES = 64 * 2**20
STREAM_LABELS = ("service_name", "job", "app", "namespace")  # one of them is on every log line
FIRST_RUN = """
next:
  aiopsd check{where}               nothing wrong?{replay}
  aiopsd run{where}                 watch; playbooks only observe until you say otherwise
"""
REPLAY = "\n  aiopsd replay{where} --since 7d   how loud would it have been?"


def arguments(parser: argparse.ArgumentParser) -> None:
    speaks = "Prometheus, or what speaks like it: Thanos, Mimir, VictoriaMetrics"
    parser.add_argument("--prometheus", metavar="URL", help=speaks)
    parser.add_argument("--loki", metavar="URL")
    parser.add_argument("--file", action="append", default=[], metavar="PATH",
                        help="a log file, or a glob in quotes; may be repeated")  # fmt: skip
    parser.add_argument("--journal", action="store_true", help="systemd's journal")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd.config import inspect
    from aiopsd.errors import Refused

    if not (args.prometheus or args.loki or args.file or args.journal):
        print("what is to be watched? At least one of --prometheus, --loki, --file and --journal "
              f"is needed, such as\n  {EXAMPLE}", file=sys.stderr)  # fmt: skip
        return 2
    target = args.dir / "aiopsd.yaml"
    if target.exists() and not args.force:
        raise Refused(f"{target} is already there; --force replaces it")
    names, labels = asyncio.run(_look(args.prometheus, args.loki))
    packs = _packs(names, logs=bool(args.loki or args.file or args.journal))
    files = _files(args.dir, packs) | {target: _configuration(_sources(args, labels))}
    _write(args.dir, files, force=args.force)
    for path, found in packs.items():
        print(f"  pack {path.stem:12} because {found} is there")
    if not packs:
        print(f"  no shipped pack fits the {len(names)} metric names there; write your own into "
              "rules/ (docs/rules.md)", file=sys.stderr)  # fmt: skip
    print("wrote", ", ".join(str(path) for path in sorted(files)))
    _, problems = inspect(target)
    for problem in problems:
        print(problem, file=sys.stderr)
    where = f" -c {target}" if args.dir != Path() else ""
    replay = REPLAY.format(where=where) if args.prometheus else ""
    print(FIRST_RUN.format(where=where, replay=replay))
    return 1 if problems else 0


# --- what is there ----------------------------------------------------------------------


async def _look(prometheus: str | None, loki: str | None) -> tuple[set[str], set[str]]:
    """Metric names, and the labels of log streams. Raises Refused or Unreachable."""
    from aiopsd.sources.fetch import Fetcher

    metrics = _address("--prometheus", prometheus) if prometheus else None
    logs = _address("--loki", loki) if loki else None
    async with Fetcher(timeout_secs=TIMEOUT_SECS, max_body_bytes=MAX_BODY_BYTES) as fetcher:
        path = "api/v1/label/__name__/values"
        names = await _ask(fetcher, metrics, path) if metrics else set()
        return names, await _ask(fetcher, logs, "loki/api/v1/labels") if logs else set()


def _address(option: str, text: str) -> URL:
    from aiopsd.errors import Refused
    from aiopsd.sources.fetch import checked_url

    try:
        return checked_url(text)
    except ValueError as error:
        raise Refused(f"{option}: {error}") from None


async def _ask(fetcher: Fetcher, url: URL, path: str) -> set[str]:
    """A list of names, as Prometheus and Loki answer alike. Raises Unreachable."""
    import msgspec

    from aiopsd.errors import Unreachable

    try:
        answer = await fetcher.get(url / path)
    except Unreachable as error:
        raise Unreachable(f"{url}: {error}") from None
    where = f"{url / path} answers {answer.status}"
    if answer.status in (401, 403):
        raise Unreachable(f"{where}: it wants to know who asks. Write aiopsd.yaml by hand, with "
                          "`token_file` or `username` (docs/configuration.md)")  # fmt: skip
    if answer.status != 200 or answer.is_web_page:
        raise Unreachable(f"{where} with {answer.said}: is this the right address?")
    try:
        body = msgspec.json.decode(answer.body, type=dict[str, Any])
        if body.get("status") == "success":
            return msgspec.convert(body.get("data", []), set[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    raise Unreachable(f"{where}, but not as Prometheus or Loki would")


# --- what fits it -----------------------------------------------------------------------


def _packs(names: set[str], *, logs: bool) -> dict[Path, str]:
    """Shipped packs that have something to watch there, each with a name that shows it."""
    from aiopsd import shipped
    from aiopsd.config import PackSettings
    from aiopsd.document import read
    from aiopsd.settings import Reader

    packs: dict[Path, str] = {}
    for path in sorted((shipped() / "rules").glob("*.yaml")):
        document = read(path)
        pack: PackSettings = Reader(document).read(PackSettings, document.data)
        asked = {n for n in pack.enable_when if n in names and any(r.promql for r in pack.rules)}
        found = [n for n in pack.enable_when if n in asked or (logs and n == "log_lines")]
        if found:
            packs[path] = found[0]
    return packs


def _files(folder: Path, packs: dict[Path, str]) -> dict[Path, str]:
    """Rules and playbooks to write, with their texts."""
    from aiopsd import shipped

    playbooks = sorted((shipped() / "playbooks").glob("*.yaml"))
    taken = [*packs, *(path for path in playbooks if _fits(path, packs))]
    return {folder / path.parent.name / path.name: path.read_text() for path in taken}


def _fits(playbook: Path, packs: dict[Path, str]) -> bool:
    """A playbook's first line may say which packs it belongs to: ``# packs: hosts services``."""
    first = playbook.read_text().split("\n", 1)[0]
    wanted = first.removeprefix("# packs:").split() if first.startswith("# packs:") else []
    return any(path.stem in wanted for path in packs)


def _sources(args: argparse.Namespace, labels: set[str]) -> str:
    """JSON's way of quoting is YAML's too: an address or a path may hold anything."""
    sources = ""
    if args.prometheus:
        sources += f"  prom: {{type: prometheus, url: {json.dumps(args.prometheus)}}}\n"
    if args.loki:
        label = next((n for n in STREAM_LABELS if n in labels), min(labels, default="service_name"))
        query = json.dumps(f'{{{label}=~".+"}}')
        sources += f"  logs: {{type: loki, url: {json.dumps(args.loki)}, query: {query}}}\n"
    if args.file:  # by their places as seen from here; the configuration may lie elsewhere
        paths = json.dumps([str(Path(path).absolute()) for path in args.file], ensure_ascii=False)
        sources += f'  files: {{type: file, paths: {paths}, labels: {{service: "{{name}}"}}}}\n'
    if args.journal:
        sources += "  journal: {type: journal}\n"
    return sources


def _configuration(sources: str) -> str:
    return (
        "# Written by aiopsd init. `aiopsd check` names every wrong entry.\n"
        "sources:\n" + sources + "\n"
        "# Nothing is done by itself until you write `mode: auto` here and in a playbook.\n"
        "automation: {mode: observe}\n"
        "\n# Learn seasons from weeks of history: pip install 'aiopsd[history]'\n"
        "# warm_start: {history: 28d}\n"
        "\n# notifiers:\n"
        '#   ops: {type: slack, channel: "#ops", token_file: slack-token}   # docs/slack.md\n'
        "\n# state: /var/lib/aiopsd       # under systemd; else `state` beside this file\n"
        "web: {listen: 127.0.0.1:9797}\n"
    )


# --- writing ----------------------------------------------------------------------------


def _write(folder: Path, files: dict[Path, str], *, force: bool) -> None:
    """All or nothing: what people have changed is theirs. Raises Refused."""
    from aiopsd.errors import Refused

    try:
        changed = [
            str(p) for p, text in files.items() if p.exists() and p.read_bytes() != text.encode()
        ]
        if changed and not force:
            raise Refused(f"already there, and not as shipped: {', '.join(changed)}; "
                          "--force replaces them")  # fmt: skip
        for room in ("rules", "playbooks"):
            (folder / room).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"cannot write {error.filename}: {error.strerror}") from None

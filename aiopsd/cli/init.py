"""``aiopsd init``: writes a configuration that works, from what is there to be watched."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

EXAMPLE = "aiopsd init --prometheus http://127.0.0.1:9090 --loki http://127.0.0.1:3100"
FIRST_RUN = """
next:
  aiopsd check{where}      nothing wrong?
  aiopsd run{where}        watch; playbooks only observe until you say otherwise
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    speaks = "Prometheus, or what speaks like it: Thanos, Mimir, VictoriaMetrics"
    parser.add_argument("--prometheus", required=True, metavar="URL", help=speaks)
    parser.add_argument("--loki", metavar="URL")
    parser.add_argument("--dir", type=Path, default=Path(), help="where to write (default: here)")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from aiopsd import shipped
    from aiopsd.config import PackSettings, inspect
    from aiopsd.document import read
    from aiopsd.errors import ConfigError
    from aiopsd.settings import Reader

    target = args.dir / "aiopsd.yaml"
    if target.exists() and not args.force:
        raise ConfigError(f"{target} is already there; --force replaces it")
    names = asyncio.run(_look(args.prometheus, args.loki))
    packs: dict[Path, list[str]] = {}
    for path in sorted((shipped() / "rules").glob("*.yaml")):
        document = read(path)
        pack = Reader(document).read(PackSettings, document.data)
        found = [n for n in pack.enable_when if n in names] if pack else []
        if found and (args.loki or any(rule.promql for rule in pack.rules)):
            packs[path] = found
    _write(args, packs)
    for path, found in packs.items():
        print(f"  pack {path.stem:12} because {found[0]} is there")
    if not packs:
        print(f"  no shipped pack fits the {len(names)} metric names there; write rules/mine.yaml "
              "(docs/rules.md)", file=sys.stderr)  # fmt: skip
    _, problems = inspect(target)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(FIRST_RUN.format(where=f" -c {target}" if args.dir != Path() else ""))
    return 1 if problems else 0


async def _look(prometheus: str, loki: str | None) -> set[str]:
    """The metric names that exist. Raises Unreachable."""
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        names = await _ask(session, prometheus, "/api/v1/label/__name__/values")
        if loki:
            await _ask(session, loki, "/loki/api/v1/labels")
            names.add("log_lines")
        return names


async def _ask(session: Any, url: str, path: str) -> set[str]:
    import aiohttp

    from aiopsd.errors import Unreachable

    try:
        async with session.get(url.rstrip("/") + path) as answer:
            body = await answer.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unreachable(f"{url}: {error or type(error).__name__}") from None
    if not isinstance(body, dict) or body.get("status") != "success":
        raise Unreachable(f"{url}{path} answers {answer.status}, not what Prometheus or Loki would")
    return set(body.get("data") or ())


def _write(args: argparse.Namespace, packs: dict[Path, list[str]]) -> None:
    from aiopsd import shipped

    for room in ("rules", "playbooks"):
        (args.dir / room).mkdir(parents=True, exist_ok=True)
    for path in packs:
        shutil.copyfile(path, args.dir / "rules" / path.name)
    for path in sorted((shipped() / "playbooks").glob("*.yaml")):
        if _fits(path, packs):
            shutil.copyfile(path, args.dir / "playbooks" / path.name)
    loki = (
        f"  logs: {{type: loki, url: {args.loki}, query: '{{job=~\".+\"}}'}}\n" if args.loki else ""
    )
    (args.dir / "aiopsd.yaml").write_text(
        "# Written by aiopsd init. `aiopsd check` names every wrong entry.\n"
        "sources:\n"
        f"  prom: {{type: prometheus, url: {args.prometheus}}}\n{loki}"
        "\n# Nothing is done by itself until you write `mode: auto` here and in a playbook.\n"
        "automation: {mode: observe}\n"
        "\n# notifiers:\n"
        '#   ops: {type: slack, channel: "#ops", token_file: slack-token}   # docs/slack.md\n'
        "\nweb: {listen: 127.0.0.1:9797}\n"
    )


def _fits(playbook: Path, packs: dict[Path, list[str]]) -> bool:
    """A playbook's first line may say which packs it belongs to: ``# packs: hosts services``."""
    first = playbook.read_text().split("\n", 1)[0]
    wanted = first.removeprefix("# packs:").split() if first.startswith("# packs:") else []
    return any(path.stem in wanted for path in packs)

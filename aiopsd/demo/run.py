"""``aiopsd demo``: a real shop, a real daemon, a bad release; found, explained, rolled back.

Everything is a process of its own: five services, the daemon, and Prometheus where it is
installed. This file starts them, deploys the bad release, and then only reads the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from aiopsd import shipped
from aiopsd.demo.shop import CALLS, VERSIONS, Shop
from aiopsd.demo.slackview import SlackView
from aiopsd.demo.story import Story
from aiopsd.errors import Unreachable
from aiopsd.model import AnyEvent, Change, Decision, Incident, Run
from aiopsd.stores import SqliteStore

LEARN_SECS = 30.0
HEAL_SECS = 120.0
QUIET_SECS = 30.0  # after a good release nothing may happen for so long
READY_SECS = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    service: str = "payments"
    fault: str = "errors"  # "none": a good release, and nothing must happen
    seed: int = 0
    linger: bool = False  # keep the page open at the end, until Ctrl-C


@dataclass
class Ending:
    """What the journal has shown so far of the one incident that the demo is about."""

    run: Run | None = None
    incident: Incident | None = None

    def note(self, event: AnyEvent) -> None:
        if isinstance(event, Incident):
            self.incident = event
        elif isinstance(event, Run):
            self.run = event

    @property
    def over(self) -> bool:
        incident, run = self.incident, self.run
        return bool(incident and incident.closed and run and run.closed)

    def calm(self) -> str:
        """Empty when nothing happened, as nothing should after a good release."""
        return f"a false incident: {self.incident.title}" if self.incident else ""

    def verdict(self, service: str) -> str:
        """Empty when the demo has shown what it promises; else what is missing."""
        if self.incident is None:
            return "no incident was opened"
        root = self.incident.root
        if root is None or root.service != service:
            return f"the first suspect is {root.service if root else 'nobody'}, not {service}"
        if self.run is None:
            return "no playbook ran"
        if self.run.outcome != "healed":
            return f"the run ended as {self.run.outcome or self.run.state}"
        return "" if self.incident.closed else "the incident is still open"


async def run(options: Options) -> int:
    """Returns the exit code: 0 when the fault was found, ranked first, healed and verified."""
    with tempfile.TemporaryDirectory(prefix="aiopsd-demo-") as name:
        folder = Path(name)
        async with contextlib.AsyncExitStack() as stack:
            print(" starting five services, a steady load and the daemon; "
                  "nothing outside this folder is touched", flush=True)  # fmt: skip
            faults = {options.service: options.fault} if options.fault != "none" else {}
            shop = await stack.enter_async_context(
                Shop(folder / "shop", faults=faults, seed=options.seed)
            )
            slack = await stack.enter_async_context(SlackView())
            prometheus = await stack.enter_async_context(_prometheus(folder, shop.targets))
            port = _free_port()
            _write_config(folder, shop, slack.api_url, prometheus, port)
            await stack.enter_async_context(_daemon(folder, port))
            print(f" Slack-like view: {slack.page_url}\n", flush=True)
            code = await _show(folder, shop, options, prometheus)
            if options.linger:
                print(f"\n the page stays: {slack.page_url}   Ctrl-C ends it", flush=True)
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
            return code


async def _show(folder: Path, shop: Shop, options: Options, prometheus: str | None) -> int:
    # Into a file nothing is cut.
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 1000
    story, ending = Story(time.time(), width), Ending()
    source = "Prometheus" if prometheus else "direct scrape"
    text = f"watching {len(CALLS)} services by {source}; learning from {LEARN_SECS:.0f} s of load"
    print(story.say(time.time(), "ready", text), flush=True)
    store = SqliteStore(folder / "state" / "journal.db", time.time, read_only=True)
    try:
        seen = await _follow(store, 0, story, ending, LEARN_SECS)
        if ending.incident is not None:
            print(" a false incident, before anything was broken", file=sys.stderr)
            return 1
        deployed = asyncio.create_task(
            shop.release(options.service, VERSIONS[options.service][1]), name="bad release"
        )
        calm = options.fault == "none"
        await _follow(store, seen, story, ending, QUIET_SECS if calm else HEAL_SECS)
        await deployed
    finally:
        await store.close()
    missing = ending.calm() if calm else ending.verdict(options.service)
    _close(story, ending, missing)
    return 1 if missing else 0


async def _follow(
    store: SqliteStore, after: int, story: Story, ending: Ending, most_secs: float
) -> int:
    """Tells what the journal shows, until the end of the story or of the time."""
    until = time.monotonic() + most_secs
    while time.monotonic() < until and not ending.over:
        for seq, _, event in await store.events(after=after):
            after = seq
            if isinstance(event, (Incident, Run, Decision, Change)):
                ending.note(event)
                for line in story.feed(event):
                    print(line, flush=True)
        await asyncio.sleep(0.2)
    return after


def _close(story: Story, ending: Ending, missing: str) -> None:
    print("\n The whole story:")
    print("\n".join(story.timeline()))
    if missing:
        print(f"\n not as promised: {missing}", file=sys.stderr)
        return
    incident = ending.incident
    end = "A good release, and nothing happened."
    if incident is not None and incident.resolved_s is not None:
        end = f"Resolved {incident.resolved_s - incident.opened_s:.0f} s after it opened."
    print(f"\n {end}"
          "\n Next: aiopsd init --prometheus URL   your own series"
          "\n       aiopsd demo --fault leak --service orders   another one"
          "\n       aiopsd demo --linger   keeps the Slack-like page")  # fmt: skip


def _write_config(
    folder: Path, shop: Shop, slack_url: str, prometheus: str | None, port: int
) -> None:
    """The same files that anyone would write, with the shipped rules and playbook."""
    for room, file in (("rules", "demo-shop.yaml"), ("playbooks", "demo-shop-rollback.yaml")):
        (folder / room).mkdir()
        text = (shipped() / room / file).read_text()
        # The demo may act on its own toys; what ships only observes.
        (folder / room / file).write_text(text.replace("mode: observe", "mode: auto"))
    tool = f'#!/bin/sh\nexec {sys.executable} -m aiopsd.demo.release --shop {shop.folder} "$@"\n'
    (folder / "release").write_text(tool)
    (folder / "release").chmod(0o755)
    (folder / "slack-token").write_text("xoxb-demo\n")
    targets = "".join(f"      - {{url: {url}/metrics, labels: {{job: shop, service: {name}}}}}\n"
                      for name, url in shop.targets.items())  # fmt: skip
    metrics = (f"  prom: {{type: prometheus, url: {prometheus}, every: 1s}}\n" if prometheus else
               f"  shop:\n    type: scrape\n    every: 1s\n    targets:\n{targets}")  # fmt: skip
    logs = shop.folder / "logs"
    (folder / "aiopsd.yaml").write_text(
        "sources:\n" + metrics +
        f"  logs: {{type: file, paths: [{logs}/*.log], labels: {{service: '{{name}}'}}}}\n"
        "notifiers:\n"
        f"  ops: {{type: slack, channel: '#ops', token_file: slack-token, api_url: {slack_url}, "
        "edit_every: 1s}\n"
        "automation: {mode: auto, settle: 3s}\n"
        "history: 1m\n"
        "incidents: {quiet: 5s, confirm: 5s}\n"
        f"web: {{listen: 127.0.0.1:{port}}}\n"
    )  # fmt: skip


@contextlib.asynccontextmanager
async def _daemon(folder: Path, port: int) -> AsyncIterator[None]:
    log = folder / "aiopsd.log"
    argv = (sys.executable, "-m", "aiopsd", "run", "-c", str(folder / "aiopsd.yaml"))
    async with _process(argv, log) as process:
        await _answers(process, f"http://127.0.0.1:{port}/readyz", "the daemon", log)
        yield


@contextlib.asynccontextmanager
async def _prometheus(folder: Path, targets: Mapping[str, str]) -> AsyncIterator[str | None]:
    """A real one, where it is installed; None where it is not."""
    program = shutil.which("prometheus")
    if program is None:
        yield None
        return
    port, config = _free_port(), folder / "prometheus.yml"
    groups = "".join(
        f"      - {{targets: ['{url.removeprefix('http://')}'], labels: {{service: {name}}}}}\n"
        for name, url in targets.items()
    )
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "scrape_configs:\n  - job_name: shop\n    honor_labels: true\n"
        f"    static_configs:\n{groups}"
    )
    argv = (
        program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    )  # fmt: skip
    log = folder / "prometheus.log"
    async with _process(argv, log) as process:
        await _answers(process, f"http://127.0.0.1:{port}/-/ready", "Prometheus", log)
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def _process(argv: tuple[str, ...], log: Path) -> AsyncIterator[Process]:
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(*argv, stdout=out, stderr=out)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 15)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answers(process: Process, url: str, name: str, log: Path) -> None:
    """Waits until it says that it is ready; raises Unreachable with its last words."""
    until = time.monotonic() + READY_SECS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until and process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
    said = (await asyncio.to_thread(log.read_text, errors="replace"))[-2000:]
    raise Unreachable(f"{name} did not get ready:\n{said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""One service of the toy shop: answers ``/work``, calls others, and shows what happens to it.

``python -m aiopsd.demo.service --name checkout --port P --calls orders=http://127.0.0.1:PO
--releases DIR --log FILE`` runs it until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web

from aiopsd.demo.exposition import CONTENT_TYPE, Family, Histogram, Metric, render
from aiopsd.demo.faults import WorkFailed, behaviour
from aiopsd.demo.logfmt import LogFile
from aiopsd.demo.releases import Release, Releases
from aiopsd.errors import AiopsdError

CALL_TIMEOUT_SECS = 2.0
INFO_EVERY_SECS = 0.7


class Meters:
    """What the service shows at ``/metrics``; names and units follow the Prometheus customs."""

    def __init__(self, service: str, version: str, callees: Mapping[str, str]) -> None:
        self.service = service
        self.requests = Metric(
            "counter", "http_requests_total", "Requests answered.", ("service", "code")
        )
        self.duration = Histogram(
            "http_request_duration_seconds", "Time to answer a request.", ("service",)
        )
        edge = ("client", "server")
        self.calls = Metric(
            "counter", "client_requests_total", "Calls to other services.", (*edge, "code")
        )
        self.call_duration = Histogram(
            "client_request_duration_seconds", "Time that a call to another service took.", edge
        )
        self._memory = Metric(
            "gauge", "process_resident_memory_bytes", "Resident memory.", ("service",)
        )
        self._cpu = Metric(
            "counter", "process_cpu_seconds_total", "CPU time, user and system.", ("service",)
        )
        self._start = Metric(
            "gauge", "process_start_time_seconds", "Start, since the epoch.", ("service",)
        )
        self._build = Metric("gauge", "build_info", "The running release.", ("service", "version"))
        self._declare(version, callees)

    def _declare(self, version: str, callees: Mapping[str, str]) -> None:
        """Every series exists from the start, so that a first error is a rise from zero."""
        for code in ("200", "500", "502"):
            self.requests.add(self.service, code, amount=0)
        self.duration.declare(self.service)
        for callee in callees:
            for code in ("200", "500", "502", "error"):
                self.calls.add(self.service, callee, code, amount=0)
            self.call_duration.declare(self.service, callee)
        self._start.set(self.service, to=time.time())
        self._build.set(self.service, version, to=1)

    def render(self) -> str:
        self._memory.set(self.service, to=resident_bytes())
        self._cpu.set(self.service, to=time.process_time())
        families: list[Family] = [self.requests, self.duration, self.calls, self.call_duration]
        return render([*families, self._memory, self._cpu, self._start, self._build])


class Service:
    """The handlers. ``calls`` maps a callee's name to its base URL."""

    def __init__(
        self, name: str, calls: Mapping[str, str], release: Release, log: LogFile, seed: int
    ) -> None:
        self.name, self.release, self.log = name, release, log
        self.meters = Meters(name, release.version, calls)
        self.behaviour = behaviour(release.fault, name, random.Random(f"{name}:{seed}"), log)
        self._calls = {callee: f"{base}/work" for callee, base in calls.items()}
        self._session = ClientSession(
            timeout=ClientTimeout(total=CALL_TIMEOUT_SECS), connector=TCPConnector(limit=0)
        )

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/work", self.work)
        app.router.add_get("/metrics", self.metrics)
        app.router.add_get("/healthz", self.healthz)
        return app

    async def close(self) -> None:
        await self._session.close()

    async def work(self, request: web.Request) -> web.Response:
        order = request.query.get("order", "0")
        began = time.perf_counter()
        code = await self._answer(order)
        took_secs = time.perf_counter() - began
        self.meters.requests.add(self.name, str(code))
        self.meters.duration.observe(self.name, value=took_secs)
        if code == 200 and self.log.sample("handled", INFO_EVERY_SECS):
            took_ms = round(took_secs * 1000)
            self.log.write("info", "request handled", status=code, took_ms=took_ms, order=order)
        return web.Response(status=code)

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=self.meters.render().encode(), headers={"Content-Type": CONTENT_TYPE}
        )

    async def healthz(self, _: web.Request) -> web.Response:
        about = {"service": self.name, "version": self.release.version, "pid": os.getpid()}
        return web.json_response(about)

    async def _answer(self, order: str) -> int:
        try:
            await self.behaviour.work(order)
        except WorkFailed as failure:
            self.log.write("error", str(failure), order=order)
            return 500
        calls = (self._call(callee, url, order) for callee, url in self._calls.items())
        return 200 if all(await asyncio.gather(*calls)) else 502

    async def _call(self, callee: str, url: str, order: str) -> bool:
        began = time.perf_counter()
        reason = ""
        try:
            async with self._session.get(f"{url}?order={order}") as response:
                code = str(response.status)
        except TimeoutError:
            code, reason = "error", f"no answer within {CALL_TIMEOUT_SECS:g} s"
        except ClientError as error:
            code, reason = "error", type(error).__name__
        self.meters.calls.add(self.name, callee, code)
        self.meters.call_duration.observe(self.name, callee, value=time.perf_counter() - began)
        if code != "200":
            why = {"reason": reason} if reason else {}
            self.log.write("error", f"call to {callee} failed status={code}", order=order, **why)
        return code == "200"


def resident_bytes() -> int:
    """This process's resident memory, from proc_pid_statm(5)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def serve(service: Service, port: int, parent: int | None) -> None:
    """Runs until SIGTERM or until the parent is gone; an exception of the release ends it."""
    runner = web.AppRunner(service.app(), access_log=None, shutdown_timeout=CALL_TIMEOUT_SECS)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    service.log.write("info", "started", version=service.release.version, by=service.release.by)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    work = {
        asyncio.create_task(service.behaviour.background(), name="release"),
        asyncio.create_task(stop.wait(), name="sigterm"),
        asyncio.create_task(_outlive(parent), name="parent"),
    }
    ended, going = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    for task in ended:
        task.result()  # a crash leaves here: sockets are cut, nobody is told
    for task in going:
        task.cancel()
    await runner.cleanup()
    await service.close()
    service.log.write("info", "stopped")


async def _outlive(parent: int | None) -> None:
    """Returns soon after the parent has died, so that no service is left as an orphan."""
    while parent is None or os.getppid() == parent:  # noqa: ASYNC110 - no event tells us
        await asyncio.sleep(0.5)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m aiopsd.demo.service", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--calls", nargs="*", default=[], metavar="SERVICE=URL")
    parser.add_argument("--releases", required=True, type=Path, metavar="DIR")
    parser.add_argument("--log", required=True, type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=0, help="of the latency's jitter")
    parser.add_argument("--parent", type=int, metavar="PID", help="end when this parent is gone")
    return parser.parse_args(argv)


async def run(options: argparse.Namespace) -> None:
    calls = dict(call.split("=", 1) for call in options.calls)
    release = Releases(options.releases).current(options.name)
    log = LogFile(options.log, options.name)
    service = Service(options.name, calls, release, log, options.seed)
    await serve(service, options.port, options.parent)


def main(argv: list[str] | None = None) -> None:
    try:
        asyncio.run(run(parse(argv)))
    except AiopsdError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

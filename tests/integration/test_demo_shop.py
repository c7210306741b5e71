"""The toy shop, running: its health, the symptoms of each fault, and how it comes back."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from subprocess import DEVNULL
from typing import Any, Self, TypeVar

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from aiopsd.demo.shop import CALLS, VERSIONS, Shop

DEADLINE_SECS = 30.0
T = TypeVar("T")
LINE = re.compile(r"(\w+)\{(.*)\} (\S+)")
PAIR = re.compile(r'(\w+)="([^"]*)"')


class Reading:
    """One look at ``/metrics`` of every service that answered."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.services = set(texts)
        self._samples = [
            (match[1], dict(PAIR.findall(match[2])), float(match[3]))
            for text in texts.values()
            for match in map(LINE.fullmatch, text.splitlines())
            if match
        ]

    @classmethod
    async def of(cls, shop: Shop) -> Self:
        texts = {}
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            for name, target in shop.targets.items():
                try:
                    async with session.get(f"{target}/metrics") as response:
                        texts[name] = await response.text()
                except ClientError:
                    continue
        return cls(texts)

    def total(self, metric: str, **labels: str) -> float:
        wanted = labels.items()
        return sum(v for name, has, v in self._samples if name == metric and wanted <= has.items())

    def labels(self, metric: str) -> set[tuple[str, ...]]:
        return {tuple(has.values()) for name, has, _ in self._samples if name == metric}


class Window:
    """What happened between two readings."""

    def __init__(self, before: Reading, after: Reading) -> None:
        self._before, self._after = before, after

    def rise(self, metric: str, **labels: str) -> float:
        return self._after.total(metric, **labels) - self._before.total(metric, **labels)

    def requests(self, service: str) -> float:
        return self.rise("http_requests_total", service=service)

    def failed(self, service: str, code: str) -> float:
        return self.rise("http_requests_total", service=service, code=code) / self.requests(service)

    def not_ok(self, service: str) -> float:
        ok = self.rise("http_requests_total", service=service, code="200")
        return self.requests(service) - ok

    def mean_secs(self, service: str) -> float:
        name = "http_request_duration_seconds"
        return self.rise(f"{name}_sum", service=service) / self.rise(
            f"{name}_count", service=service
        )


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """What ``look`` finds, as soon as it finds something."""
    async with asyncio.timeout(DEADLINE_SECS):
        while not (found := await look()):
            await asyncio.sleep(0.1)
    return found


async def watch(shop: Shop, enough: Callable[[Window], bool]) -> Window:
    """From now on until there is enough to judge."""
    before = await Reading.of(shop)

    async def look() -> Window | None:
        window = Window(before, await Reading.of(shop))
        return window if enough(window) else None

    return await until(look)


async def healed(shop: Shop) -> Window:
    """The first stretch of 20 requests without a failed one anywhere; callers see restarts too."""

    async def look() -> Window | None:
        window = await watch(shop, lambda w: min(w.requests(name) for name in CALLS) >= 20)
        return window if not any(window.not_ok(name) for name in CALLS) else None

    return await until(look)


async def tool(shop: Shop, *argv: str) -> tuple[int, Any, str]:
    """Runs the deployment tool as a playbook does: exit code, printed JSON, stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiopsd.demo.release", "--shop", str(shop.folder), *argv),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, json.loads(out) if out else None, err.decode()


async def deploy_bad(shop: Shop, service: str) -> None:
    code, shown, err = await tool(shop, "set", service, "--version", VERSIONS[service][1])
    assert (code, err) == (0, "")
    assert (shown["version"], shown["previous"]) == (VERSIONS[service][1], VERSIONS[service][0])


async def assert_rollback_heals(shop: Shop, service: str) -> None:
    code, shown, err = await tool(shop, "rollback", service)
    assert (code, err) == (0, "")
    assert (shown["version"], shown["revision"]) == (VERSIONS[service][0], 3)
    window = await healed(shop)
    assert max(window.mean_secs(name) for name in CALLS) < 0.2
    assert (await Reading.of(shop)).total("build_info", version=VERSIONS[service][0]) == 1


def log(shop: Shop, service: str) -> str:
    return shop.log_paths[service].read_text()


def pid_of(shop: Shop, service: str) -> int | None:
    pid: int | None = json.loads((shop.folder / "shop.json").read_text())["services"][service][
        "pid"
    ]
    return pid


async def test_five_healthy_services_show_what_they_do(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        window = await watch(shop, lambda w: min(w.requests(name) for name in CALLS) >= 40)
        reading = await Reading.of(shop)
    assert reading.services == set(CALLS)
    assert not any(window.not_ok(name) for name in CALLS)
    assert window.requests("orders") == pytest.approx(2 * window.requests("payments"), rel=0.3)
    assert reading.labels("build_info") == {(name, VERSIONS[name][0]) for name in CALLS}
    edges = {(caller, callee) for caller, callees in CALLS.items() for callee in callees}
    assert reading.labels("client_request_duration_seconds_count") == edges
    assert window.rise("client_requests_total", client="checkout", server="orders") > 30
    for name in CALLS:
        assert 0.003 < window.mean_secs(name) < 0.2
        assert 15e6 < reading.total("process_resident_memory_bytes", service=name) < 150e6
        assert reading.total("process_cpu_seconds_total", service=name) > 0
        assert "level=error" not in log(shop, name)
        assert 'msg="request handled" status=200' in log(shop, name)
    assert shop.load.answers["200"] > 30
    assert set(shop.load.answers) == {"200"}


async def test_errors_in_payments_reach_its_callers_and_nobody_else(tmp_path: Path) -> None:
    async with Shop(tmp_path, faults={"payments": "errors"}) as shop:
        await deploy_bad(shop, "payments")
        window = await watch(shop, lambda w: w.requests("payments") >= 60)
        assert 0.2 < window.failed("payments", "500") < 0.6
        assert 0.2 < window.failed("checkout", "502") < 0.6
        assert 0.2 < window.failed("web", "502") < 0.6
        edge = {"client": "checkout", "server": "payments"}
        assert window.rise("client_requests_total", **edge, code="500") > 10
        assert window.not_ok("orders") == window.not_ok("catalog") == 0
        assert "TaxTableMissing: no row for region=EU-" in log(shop, "payments")
        assert "call to payments failed status=500" in log(shop, "checkout")
        assert "TaxTableMissing" not in log(shop, "checkout")
        await assert_rollback_heals(shop, "payments")


async def test_slow_orders_slow_all_who_wait_for_it(tmp_path: Path) -> None:
    async with Shop(tmp_path, faults={"orders": "slow"}) as shop:
        await deploy_bad(shop, "orders")
        window = await watch(shop, lambda w: w.requests("web") >= 40)
        for waiting in ("orders", "catalog", "checkout", "web"):
            assert 0.3 < window.mean_secs(waiting) < 1.5
            assert window.failed(waiting, "500") == 0
        assert window.mean_secs("payments") < 0.1
        assert "slow query: full scan of table stock_rules" in log(shop, "orders")
        await assert_rollback_heals(shop, "orders")


async def test_a_leak_in_catalog_grows_and_hurts_nobody_yet(tmp_path: Path) -> None:
    async with Shop(tmp_path, faults={"catalog": "leak"}) as shop:
        await deploy_bad(shop, "catalog")
        await healed(shop)
        memory = "process_resident_memory_bytes"
        window = await watch(shop, lambda w: w.rise(memory, service="catalog") >= 24e6)
        for name in CALLS:
            assert window.not_ok(name) == 0
            assert window.mean_secs(name) < 0.2
            assert name == "catalog" or window.rise(memory, service=name) < 8e6
        assert "MB, eviction is off" in log(shop, "catalog")
        await assert_rollback_heals(shop, "catalog")


async def test_a_crashing_checkout_comes_back_and_dies_again(tmp_path: Path) -> None:
    async with Shop(tmp_path, faults={"checkout": "crash"}) as shop:
        await deploy_bad(shop, "checkout")
        supervisor = tmp_path / "logs" / "supervisor.log"
        before = await Reading.of(shop)

        async def died_twice() -> bool:
            return supervisor.read_text().count("process=checkout code=1") >= 2

        await until(died_twice)
        window = Window(before, await Reading.of(shop))
        assert window.rise("client_requests_total", client="web", server="checkout", code="error")
        assert window.failed("web", "502") > 0.02
        for bystander in ("catalog", "orders", "payments"):
            assert window.not_ok(bystander) == 0
        assert log(shop, "checkout").count("PromotionEngineError") >= 2
        assert "IndexError" in (tmp_path / "logs" / "checkout.stderr").read_text()
        await assert_rollback_heals(shop, "checkout")


async def test_a_killed_process_comes_back_on_its_port(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        killed = pid_of(shop, "orders")
        assert killed is not None
        assert killed == int((tmp_path / "run" / "orders.pid").read_text())
        os.kill(killed, signal.SIGKILL)

        async def replaced() -> bool:
            return pid_of(shop, "orders") not in {None, killed}

        await until(replaced)
        await healed(shop)


async def test_the_deployment_tool_repeats_and_refuses_in_peace(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        pid = pid_of(shop, "payments")
        assert (await tool(shop, "set", "payments", "--version", "v1.41"))[0] == 0
        assert pid_of(shop, "payments") == pid
        code, shown, err = await tool(shop, "set", "payments", "--version", "v9")
        assert (code, shown) == (1, None)
        assert err == "error: payments has no release v9; there are: v1.41, v1.42\n"
        assert (await tool(shop, "rollback", "payments"))[0] == 1
        code, shown, _ = await tool(shop, "rollback", "payments", "--to", "v1.42")
        assert (code, shown["version"], shown["revision"]) == (0, "v1.42", 2)
        assert (await tool(shop, "show", "payments"))[1] == shown
        assert pid_of(shop, "payments") != pid
        await healed(shop)  # v1.42 is a good release here
    code, _, err = await tool(shop, "show", "payments")
    assert code == 1
    assert "no running shop" in err


def alive(pid: int) -> bool:
    """Runs, and is not only a dead entry that nobody has collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_no_service_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiopsd.demo.shop", "--dir", str(tmp_path)), stdout=DEVNULL
    )
    try:

        async def all_serving() -> list[int] | None:
            logs = [tmp_path / "logs" / f"{name}.log" for name in CALLS]
            if not all(path.exists() and "request handled" in path.read_text() for path in logs):
                return None
            return [int((tmp_path / "run" / f"{name}.pid").read_text()) for name in CALLS]

        pids = await until(all_serving)
        assert all(alive(pid) for pid in pids)
    finally:
        supervisor.kill()
        await supervisor.wait()

    async def all_gone() -> bool:
        return not any(alive(pid) for pid in pids)

    await until(all_gone)

"""The deployment tool of the toy shop: shows, sets and rolls back what a service runs.

``python -m aiopsd.demo.release --shop DIR set payments --version v1.42`` works from any process;
it flips the release, restarts the service and waits until the new version answers. Prints the
state as JSON; exits 0, or 1 with the reason on stderr. ``is`` only answers: 0 yes, 1 no.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiopsd.demo.releases import Releases
from aiopsd.errors import AiopsdError, ConfigError, Refused, Unreachable

WAIT_SECS = 20.0


@dataclass(frozen=True, slots=True)
class Health:
    """Who answers on a service's port."""

    version: str
    pid: int


def show(shop: Path, service: str) -> dict[str, Any]:
    """The deployed version and the one before: what a rollback plan has to know.

    ``service, version, previous, revision, previous_revision, by, deployed_at``; the two
    ``previous`` fields are null after the first deployment; ``deployed_at`` is in epoch seconds.
    """
    port_of(shop, service)  # a wrong folder or name gets its clear error
    releases = Releases(shop / "releases")
    now, before = releases.history(service)[-1], releases.previous(service)
    return {
        "service": service,
        "version": now.version,
        "previous": before.version if before else None,
        "revision": now.revision,
        "previous_revision": before.revision if before else None,
        "by": now.by,
        "deployed_at": now.deployed_at,
    }


def deploy(shop: Path, service: str, version: str, wait_secs: float = WAIT_SECS) -> None:
    """Makes ``version`` current, restarts the service, waits until that version answers once.

    Does nothing when that version already runs, so it may be repeated after an interruption.
    Raises ``Refused`` for an unknown version, ``Unreachable`` when it does not come up in time.
    """
    port = port_of(shop, service)
    asked_to_go: set[int] = set()
    if Releases(shop / "releases").make_current(service, version, time.time()):
        _ask_to_go(_pid(shop, service), service, asked_to_go)
    deadline = time.monotonic() + wait_secs
    seen = "nothing answers"
    while time.monotonic() < deadline:
        health = ask(port)
        if health is not None and health.version == version:
            return
        if health is not None:  # it stops just now, or read the old release while we flipped it
            seen = f"{health.version} answers"
            _ask_to_go(health.pid, service, asked_to_go)
        time.sleep(0.05)
    raise Unreachable(f"{service} {version} did not come up within {wait_secs:g} s: {seen}")


def runs(shop: Path, service: str, version: str) -> bool:
    """Whether that version is deployed and answers."""
    health = ask(port_of(shop, service))
    return bool(health and health.version == version == show(shop, service)["version"])


def rollback(shop: Path, service: str, to: str | None = None) -> None:
    """Deploys ``to``, or the version before the current one (so twice is back and forth)."""
    if to is None:
        previous = Releases(shop / "releases").previous(service)
        if previous is None:
            raise Refused(f"{service} has no previous release to go back to")
        to = previous.version
    deploy(shop, service, to)


def ask(port: int) -> Health | None:
    """Who answers ``/healthz`` right now; None when nobody does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", "/healthz")
        about = json.loads(connection.getresponse().read())
        return Health(about["version"], about["pid"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def port_of(shop: Path, service: str) -> int:
    """The service's port, from the shop's own notes."""
    try:
        services = json.loads((shop / "shop.json").read_text())["services"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"no running shop in {shop}: {error}") from error
    if service not in services:
        raise ConfigError(f"the shop has no service {service!r}; there are: {', '.join(services)}")
    return int(services[service]["port"])


def _pid(shop: Path, service: str) -> int | None:
    try:
        return int((shop / "run" / f"{service}.pid").read_text())
    except (OSError, ValueError):
        return None  # between two starts


def _ask_to_go(pid: int | None, service: str, asked: set[int]) -> None:
    """SIGTERM, once; the supervisor starts the service again.

    A pid that is somebody else's by now is left alone. A second signal could cut the goodbye short.
    """
    if pid is None or pid in asked:
        return
    asked.add(pid)
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if "aiopsd.demo.service" in argv and service in argv:
            os.kill(pid, signal.SIGTERM)
    except (FileNotFoundError, ProcessLookupError):
        pass  # gone already, which is what we want


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m aiopsd.demo.release", description=__doc__)
    parser.add_argument("--shop", required=True, type=Path, metavar="DIR")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show").add_argument("service")
    for name in ("set", "is"):
        one = commands.add_parser(name)
        one.add_argument("service")
        one.add_argument("--version", required=True)
    back = commands.add_parser("rollback")
    back.add_argument("service")
    back.add_argument("--to", metavar="VERSION")
    options = parser.parse_args(argv)
    try:
        if options.command == "is":
            sys.exit(not runs(options.shop, options.service, options.version))
        if options.command == "set":
            deploy(options.shop, options.service, options.version)
        elif options.command == "rollback":
            rollback(options.shop, options.service, options.to)
        print(json.dumps(show(options.shop, options.service)))
    except AiopsdError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

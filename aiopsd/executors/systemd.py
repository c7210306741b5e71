"""``systemd.restart|stop|start``: a unit, over the system bus, with the job's real result.

Inputs: ``unit``; optional ``wait_active`` (seconds, default 30). A job that is ``done`` is not
yet a unit that works: a simple service that exits at once reports done too, so ActiveState is
looked at afterwards. Source: org.freedesktop.systemd1(5).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aiopsd.contracts import Action
from aiopsd.errors import MissingExtra, Refused, Uncertain, Unreachable
from aiopsd.settings import Settings

BUS, PATH = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"
MANAGER, UNIT = f"{BUS}.Manager", f"{BUS}.Unit"
METHODS = {"restart": "RestartUnit", "stop": "StopUnit", "start": "StartUnit"}
INVERSE = {"stop": "start", "start": "stop"}
UNIT_NAME = re.compile(
    r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|timer|target|path|mount|slice|scope)"
)
FACTS = ("ActiveState", "SubState", "InvocationID", "ActiveEnterTimestamp")
DENIED = (
    "AccessDenied",
    "InteractiveAuthorizationRequired",
    "NoSuchUnit",
    "LoadFailed",
    "UnitMasked",
)


class SystemdSettings(Settings, frozen=True, kw_only=True, tag="systemd"):
    """Which bus; the system's own by default."""

    bus: str = "unix:path=/run/dbus/system_bus_socket"

    def extra(self) -> str:
        return "systemd"

    def build(self, base: Path) -> SystemdExecutor:  # noqa: ARG002 - executors are built alike
        return SystemdExecutor(self.bus)


class SystemdExecutor:
    """Needs no root: a polkit rule lets the daemon manage named units (systemd/)."""

    actions = frozenset(METHODS)

    def __init__(self, bus: str) -> None:
        self._bus = bus

    def lint(self, verb: str, inputs: Mapping[str, Any]) -> Sequence[str]:  # noqa: ARG002
        wrong = [f"unknown input {key!r}; known: unit, wait_active"
                 for key in inputs if key not in ("unit", "wait_active")]  # fmt: skip
        unit = inputs.get("unit")
        if not isinstance(unit, str):
            wrong.append("`unit` is missing, such as nginx.service")
        elif "${" not in unit and not UNIT_NAME.fullmatch(unit):
            wrong.append(f"`unit: {unit}` is not a unit's full name, such as nginx.service")
        if not isinstance(inputs.get("wait_active", 30), (int, float)):
            wrong.append("`wait_active` must be a number of seconds")
        return wrong

    async def plan(self, action: Action) -> dict[str, Any]:
        return {"unit": _unit(action), "now": await self.before(action)}

    async def before(self, action: Action) -> dict[str, Any]:
        async with self._connected() as bus:
            return await _facts(bus, _unit(action))

    async def apply(self, action: Action) -> dict[str, Any]:
        return await self._job(_verb(action), action)

    async def probe(self, action: Action, before: Mapping[str, Any]) -> bool | None:
        """A start gives a unit a new InvocationID; that tells whether ours happened."""
        async with self._connected() as bus:
            now = await _facts(bus, _unit(action))
        if now["ActiveState"] in ("activating", "deactivating", "reloading"):
            return None
        if _verb(action) == "stop":
            return bool(now["ActiveState"] in ("inactive", "failed"))
        return bool(now["InvocationID"] != before.get("InvocationID"))

    async def undo(self, action: Action, before: Mapping[str, Any]) -> dict[str, Any]:
        verb = _verb(action)
        if verb not in INVERSE:
            raise Refused("a restart has no inverse")
        was_active = before.get("ActiveState") == "active"
        if was_active == (verb == "start"):
            return {"unchanged": f"the unit was {before.get('ActiveState')} before"}
        return await self._job(INVERSE[verb], action)

    async def _job(self, verb: str, action: Action) -> dict[str, Any]:
        unit = _unit(action)
        async with self._connected() as bus:
            result = await _run_job(bus, METHODS[verb], unit)
            if result != "done":
                raise Refused(f"systemd says the job for {unit} ended as {result!r}")
            wanted = "inactive" if verb == "stop" else "active"
            wait_secs = float(action.inputs.get("wait_active", 30))
            facts = await _settled(bus, unit, wanted, wait_secs)
            return {"job": result, **facts}

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        try:
            from dbus_fast.aio import MessageBus
        except ImportError:
            raise MissingExtra("the systemd executor", "systemd") from None
        try:
            bus = await MessageBus(bus_address=self._bus).connect()
        except (OSError, EOFError) as error:
            raise Unreachable(f"the system bus {self._bus}: {error}") from None
        try:
            yield bus
        except (EOFError, ConnectionError) as error:
            raise Uncertain(f"the system bus went away: {error}") from None
        finally:
            bus.disconnect()


def _verb(action: Action) -> str:
    return action.name.rpartition(".")[2]


def _unit(action: Action) -> str:
    unit = str(action.inputs["unit"])
    if not UNIT_NAME.fullmatch(unit):
        raise Refused(f"{unit!r} is not a unit's full name, such as nginx.service")
    return unit


async def _call(bus: Any, path: str, interface: str, member: str, types: str, *body: Any) -> Any:
    from dbus_fast import Message, MessageType

    answer = await bus.call(Message(BUS, path, interface, member, signature=types, body=list(body)))
    if answer.message_type is MessageType.ERROR:
        said = f"{answer.error_name}: {answer.body[0] if answer.body else ''}"
        raise (Refused if said.split(":")[0].endswith(DENIED) else Unreachable)(said)
    return answer.body


async def _facts(bus: Any, unit: str) -> dict[str, Any]:
    """What undo and probe need to know. A unit that is not loaded yet is loaded by asking."""
    (path,) = await _call(bus, PATH, MANAGER, "LoadUnit", "s", unit)
    properties = "org.freedesktop.DBus.Properties"
    (found,) = await _call(bus, path, properties, "GetAll", "s", UNIT)
    if found["LoadState"].value == "not-found":
        raise Refused(f"NoSuchUnit: {unit} is not known to systemd")
    facts = {name: found[name].value for name in FACTS}
    facts["InvocationID"] = bytes(facts["InvocationID"]).hex()
    return facts


async def _run_job(bus: Any, method: str, unit: str) -> str:
    """Starts a job and waits for its JobRemoved; returns the result systemd gives."""
    removed: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    def on_message(message: Any) -> None:
        if message.member == "JobRemoved":
            _, path, _, result = message.body
            removed.put_nowait((path, result))

    bus.add_message_handler(on_message)
    rule = f"type='signal',sender='{BUS}',interface='{MANAGER}',member='JobRemoved'"
    await bus.call(_add_match(rule))
    await _call(bus, PATH, MANAGER, "Subscribe", "")
    (job,) = await _call(bus, PATH, MANAGER, method, "ss", unit, "replace")
    while True:
        path, result = await removed.get()
        if path == job:
            return result


def _add_match(rule: str) -> Any:
    from dbus_fast import Message

    name = "org.freedesktop.DBus"
    return Message(name, "/org/freedesktop/DBus", name, "AddMatch", signature="s", body=[rule])


async def _settled(bus: Any, unit: str, wanted: str, wait_secs: float) -> dict[str, Any]:
    """The unit's facts once it is in the wanted state and was so a moment before too."""
    loop = asyncio.get_running_loop()
    until, seen = loop.time() + wait_secs, 0
    while True:
        facts = await _facts(bus, unit)
        seen = seen + 1 if facts["ActiveState"] == wanted else 0
        if seen >= 3:  # a service that exits at once is active for an instant
            return facts
        if facts["ActiveState"] == "failed" or loop.time() > until:
            raise Refused(f"{unit} is {facts['ActiveState']} ({facts['SubState']}), not {wanted}")
        await asyncio.sleep(0.2)

"""Tells the service manager what the daemon is doing: the protocol of sd_notify(3).

A state is one datagram of `NAME=value` lines to the socket named by $NOTIFY_SOCKET. Nothing is sent
where that variable is not set, so the daemon calls these functions the same way on a terminal.
Sources: sd_notify(3) and sd_watchdog_enabled(3) of systemd 252.
"""

import logging
import os
import socket
import time

from aiopsd.errors import ConfigError

log = logging.getLogger(__name__)

# The kernel blocks a datagram while the manager's queue is full; we are called from the event loop.
SEND_TIMEOUT_SECS = 1.0


def ready() -> bool:
    """The daemon has started, or has finished reloading."""
    return send("READY=1")


def reloading() -> bool:
    """A reload begins; `ready()` must follow, also when the reload was refused."""
    monotonic_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    return send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec}")


def stopping() -> bool:
    """The daemon drains and will exit by itself."""
    return send("STOPPING=1")


def watchdog() -> bool:
    """The daemon is alive; due every `watchdog_interval_secs()`."""
    return send("WATCHDOG=1")


def status(text: str) -> bool:
    """One line for `systemctl status`; line breaks become blanks."""
    return send(f"STATUS={' '.join(text.split())}")


def send(*assignments: str) -> bool:
    """Send `NAME=value` assignments as one datagram; true if the manager's socket took it.

    A socket that fails is logged, never raised: the manager acts on what it does not hear.
    Raises ConfigError if $NOTIFY_SOCKET is neither a path nor an abstract name.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address[0] not in "/@":
        raise ConfigError(f"NOTIFY_SOCKET={address}: expected /a/path or @an-abstract-name")
    name = "\0" + address[1:] if address[0] == "@" else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_TIMEOUT_SECS)
            sender.sendto("\n".join(assignments).encode(), name)
    except OSError as error:
        log.warning("notify failed: socket=%s error=%s", address, error)
        return False
    return True


def watchdog_interval_secs() -> float | None:
    """How often to call `watchdog()`: half of the unit's WatchdogSec, or None if none watches us.

    Raises ConfigError if $WATCHDOG_USEC or $WATCHDOG_PID is not a positive whole number.
    """
    usec = _positive("WATCHDOG_USEC")
    pid = _positive("WATCHDOG_PID")
    if usec is None or pid not in (None, os.getpid()):  # inherited from a parent that is watched
        return None
    return usec / 1e6 / 2


def _positive(name: str) -> int | None:
    text = os.environ.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ConfigError(f"{name}={text}: expected a positive whole number")
    return int(text)

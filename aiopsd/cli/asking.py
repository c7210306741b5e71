"""Asks the running daemon to do something, over its control socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

WAIT_SECS = 15.0


def ask(config: Path, request: dict[str, Any]) -> Any:
    """The daemon's answer. Raises Refused with its words, Unreachable where none is up."""
    from aiopsd.config import state_folder
    from aiopsd.errors import Refused, Unreachable

    state = state_folder(config)
    try:
        answer = json.loads(_asked(state, json.dumps(request).encode() + b"\n"))
    except (FileNotFoundError, ConnectionRefusedError):
        raise Unreachable(f"no daemon runs on {state}; is `aiopsd run` up?") from None
    except OSError as error:
        why = error.strerror or "it does not answer"
        raise Unreachable(f"the daemon on {state} cannot be asked: {why}") from None
    except ValueError:
        raise Unreachable(f"what answers on {state} is not aiopsd") from None
    if "refused" in answer:
        raise Refused(str(answer["refused"]))
    return answer["done"]


def _asked(state: Path, request: bytes) -> bytes:
    """By a folder's descriptor: an address of a socket may have 108 bytes only."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(WAIT_SECS)
            asking.connect(f"/proc/self/fd/{folder}/control.sock")
            asking.sendall(request)
            return b"".join(iter(lambda: asking.recv(65536), b""))
    finally:
        os.close(folder)

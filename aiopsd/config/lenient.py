"""What must be known of a configuration even where it is broken: the kill switch depends on it."""

from __future__ import annotations

import re
from pathlib import Path

from aiopsd.config.schema import STATE, WebSettings
from aiopsd.document import parse
from aiopsd.errors import ConfigError
from aiopsd.settings import Address

_STATE = re.compile(r"""^state:[ \t]*["']?([^"'#\n]*[^"'#\s])""", re.MULTILINE)


def state_folder(path: Path) -> Path:
    """Where the state stands. Raises ConfigError where there is no such file to read: a kill
    switch that is thrown in the wrong place stops nothing."""
    text = _text(path)
    data = parse(text, str(path)).data
    if isinstance(data, dict):
        state = data.get("state")
    else:
        found = _STATE.search(text)
        state = found[1] if found else None
    return path.resolve().parent / (state if isinstance(state, str) else STATE)


def web_address(path: Path) -> tuple[str, int]:
    """Where the daemon of this configuration answers. Raises ConfigError."""
    data = parse(_text(path), str(path)).data
    web = data.get("web") if isinstance(data, dict) else None
    listen = web.get("listen") if isinstance(web, dict) else None
    try:
        found = Address.parse(listen) if isinstance(listen, str) else WebSettings().listen
    except ValueError as error:
        raise ConfigError(f"{path}: `listen`: {error}") from None
    return found.parts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"no configuration at {path}: {error.strerror}; -c FILE says which one"
        ) from None

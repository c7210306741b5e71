"""Recordings: what a real server was asked once, and what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

RECORDINGS = Path(__file__).parent.parent / "recordings"


@dataclass(frozen=True)
class Reply:
    """An answer, recorded or fresh; `body` is parsed when the content type says JSON."""

    status: int
    content_type: str
    body: Any


@dataclass(frozen=True)
class Recording:
    """One exchange. `request` and `reply` say what happened; the file's name may promise more."""

    name: str
    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]
    sent: str
    reply: Reply

    @classmethod
    def load(cls, name: str) -> Recording:
        """`name` is the path below tests/recordings, without `.json`."""
        exchange = json.loads((RECORDINGS / f"{name}.json").read_text())
        request, response = exchange["request"], exchange["response"]
        sent = request.get("body")
        return cls(
            name=name,
            method=request["method"],
            path=request["path"],
            params=request.get("params") or {},
            headers=request.get("headers") or {},
            # A body too large to keep was recorded as its length only.
            sent=sent if isinstance(sent, str) else "",
            reply=Reply(
                response["status"], response["headers"].get("Content-Type", ""), response["body"]
            ),
        )

    async def replay(self, url: str) -> Reply:
        """Ask the server at `url` what the real one was asked."""
        params = [
            (name, str(one))
            for name, value in self.params.items()
            for one in (value if isinstance(value, list) else [value])
        ]
        async with (
            ClientSession() as session,
            session.request(
                self.method,
                f"{url}{self.path}",
                params=params,
                headers=self.headers,
                data=self.sent.encode() if self.sent else None,
            ) as response,
        ):
            content_type = response.headers.get("Content-Type", "")
            text = await response.text()
            body = json.loads(text) if "json" in content_type else text
            return Reply(response.status, content_type, body)

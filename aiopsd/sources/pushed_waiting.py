"""Requests that wait for their answer until what they brought is journalled."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiopsd.sources.pushed import Wrong

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Request(Generic[T]):
    """One that waits for its answer, or would, had its sender not given up."""

    number: int
    sender: str
    brought: T
    size: int
    answer: asyncio.Future[None]

    async def answered(self, within_secs: float, done: str) -> None:
        """Raises Wrong 503 after that time; what is sent again then is known, or late."""
        try:
            async with asyncio.timeout(within_secs):
                await self.answer
        except TimeoutError:
            raise Wrong(503, f"taken, but not {done} in time") from None


class Waiting(Generic[T]):
    """By their numbers, which grow."""

    def __init__(self) -> None:
        self.size = 0  # of all that they brought
        self._requests: dict[int, Request[T]] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, number: int, sender: str, brought: T, size: int) -> Request[T]:
        answer = asyncio.get_running_loop().create_future()
        one = self._requests[number] = Request(number, sender, brought, size, answer)
        self.size += size
        return one

    def taken(self, number: int) -> None:
        """Whoever sent the requests up to this one gets his answer."""
        for one in [one for one in self._requests.values() if one.number <= number]:
            self._end(one)

    def refuse(self, request: Request[T], wrong: Wrong) -> None:
        """Nobody took it: its sender must keep it."""
        self._end(request, wrong)

    def _end(self, one: Request[T], wrong: Wrong | None = None) -> None:
        del self._requests[one.number]
        self.size -= one.size
        if not one.answer.done():
            one.answer.set_exception(wrong) if wrong else one.answer.set_result(None)

"""A process that is connected to a broker until somebody kills it: ``mqtt_teller.py PORT``."""

import asyncio
import sys
import time
from pathlib import Path

from aiopsd.contracts import NotifierContext
from aiopsd.model import Delivery
from aiopsd.notifiers.mqtt import MqttSettings


async def _forget(_: Delivery) -> None:
    """No journal: this process has nothing to say."""


async def main(port: int) -> None:
    context = NotifierContext(
        name="edge",
        clock=time.time,
        count=lambda _what, _amount: None,
        delivered={},
        record=_forget,
        base=Path(),
    )
    MqttSettings(host="127.0.0.1", port=port).build(context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

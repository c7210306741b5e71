"""A process that tells Slack of one incident, with a real journal; its parent may kill it.

``python slack_teller.py FOLDER API_URL`` ends with 0 when the incident is told.
"""

import asyncio
import sys
import time
from pathlib import Path

from aiopsd.contracts import NotifierContext
from aiopsd.model import Delivery
from aiopsd.notifiers.slack import SlackSettings
from aiopsd.settings import SecretFile
from aiopsd.stores import SqliteStore
from tests.unit.notifiers import stories


async def main(folder: Path, api_url: str) -> None:
    store = SqliteStore(folder / "journal.db", time.time)
    context = NotifierContext(
        name="ops",
        clock=time.time,
        count=lambda _what, _amount: None,
        delivered={one.id: one for one in await store.current(Delivery, since_s=0.0)},
        record=store.append,
        base=folder,
    )
    settings = SlackSettings(channel="#ops", token_file=SecretFile("token"), api_url=api_url)
    await settings.build(context).notify(stories.ranked())
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

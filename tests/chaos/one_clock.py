"""The daemon with a clock that is wrong: ``one_clock.py FILE SECS UNTIL``.

It is so many seconds ahead until the file ``UNTIL`` is there, or for ever where that is ``.``.
"""

import asyncio
import sys
import time
from pathlib import Path

from aiopsd.life import serve
from aiopsd.telemetry import set_up_logging

if __name__ == "__main__":
    set_up_logging()
    ahead_secs, until = float(sys.argv[2]), Path(sys.argv[3])

    def clock() -> float:
        return time.time() + (0.0 if until.is_file() else ahead_secs)

    asyncio.run(serve(Path(sys.argv[1]), clock))

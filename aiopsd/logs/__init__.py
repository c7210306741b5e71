"""Lines to templates to series: from here on the daemon thinks in series."""

from aiopsd.logs.miner import Miner
from aiopsd.logs.odd_sessions import NAME as ODD_SESSIONS

__all__ = ["ODD_SESSIONS", "Miner"]

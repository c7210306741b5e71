"""Lines to templates to series: from here on the daemon thinks in series."""

from aiopsd.logs.miner import Miner

__all__ = ["Miner"]

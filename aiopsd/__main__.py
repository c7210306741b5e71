"""``aiopsd`` and ``python -m aiopsd``."""

import sys

from aiopsd.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""aiopsd watches metrics and logs, finds what is wrong and why, and heals it."""

from pathlib import Path

__version__ = "0.1.0"


def shipped() -> Path:
    """The folder with the shipped ``rules/`` and ``playbooks/``: in the wheel, or the checkout."""
    installed = Path(__file__).parent / "shipped"
    return installed if installed.is_dir() else Path(__file__).parent.parent

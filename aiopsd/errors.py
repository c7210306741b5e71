"""The kinds of expected trouble. Anything else ends the daemon, loudly."""

from __future__ import annotations


class AiopsdError(Exception):
    """Base of all expected trouble; its text is written for the person who reads it."""


class ConfigError(AiopsdError):
    """What a person wrote is wrong: stop and say where."""


class Unreachable(AiopsdError):
    """Another system does not answer (or answers nonsense): try again later."""


class Refused(AiopsdError):
    """Another system, or a guard of ours, said no: do not try again."""


class MissingExtra(ConfigError):
    """A part needs a library that is not installed."""

    def __init__(self, part: str, extra: str) -> None:
        super().__init__(f"{part} needs the extra {extra!r}: pip install 'aiopsd[{extra}]'")


class Uncertain(AiopsdError):
    """A side effect was asked for and no answer came: it may have happened, or not."""


class JournalFailed(AiopsdError):
    """The journal cannot be kept (a full disk): the daemon ends, to be started again.

    What cannot be remembered must not be done.
    """

"""Secrets are nowhere; what only looks like one is kept."""

import pytest

from aiopsd.logs import Miner
from aiopsd.model import LogBatch, LogLine
from aiopsd.redaction.unkeyed import redact
from aiopsd.series import SeriesTable

SECRETS = (
    "hunter2hunter2",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghijk",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-1234567890-abcdefgh",
    "mara@shop.example",
)


@pytest.mark.parametrize(
    "line",
    [
        f"password={SECRETS[0]} ok",
        f'{{"db_password": "{SECRETS[0]}", "n": 1}}',
        f"Authorization: Bearer {SECRETS[1]}",
        f"jwt {SECRETS[1]} used",
        f"key {SECRETS[2]}",
        f"token {SECRETS[3]}",
        f"postgres://app:{SECRETS[0]}@db/x",
        f"mail to {SECRETS[4]}",
        f'password="{SECRETS[0]} never closed',
        f"authorization={SECRETS[0]}",
        f'"authorization": "Basic {SECRETS[0]}"',
        f"Cookie: {SECRETS[0]}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRETS[0]}\n{SECRETS[1]}",
        "x" * 1015 + f" {SECRETS[3]} and more",  # cut in its middle for the sample
    ],
)
def test_secrets_are_nowhere(line: str) -> None:
    assert not any(secret in redact(line) for secret in SECRETS)
    table = SeriesTable()
    miner = Miner(table)
    miner.feed(LogBatch(1000.0, (LogLine(0, {"service": "api"}, line),)))
    kept = miner.save() + repr([table.labels(i) for i in table.of("")]).encode()
    assert not any(secret.encode() in kept for secret in SECRETS)


def test_lines_that_somebody_has_cleaned_stay_as_they_are() -> None:
    """What the configuration keeps is kept: the miner asks nobody else."""
    kept = "mail to ops@shop.example failed"
    miner = Miner(SeriesTable(), clean=str)
    miner.feed(LogBatch(1000.0, (LogLine(0, {"service": "api"}, kept),)))
    assert kept.encode() in miner.save()


@pytest.mark.parametrize(
    "line",
    [
        "GET /usr/local/lib/python3.11/site-packages/requests/sessions.py",
        "container orders-7f9c4d5b8-x2x9z in namespace team-alpha-production is ready",
        "max_tokens=512 of 1234567890123456789012345678901234567890",
    ],
)
def test_what_only_looks_long_is_kept(line: str) -> None:
    assert redact(line) == line


def test_keys_are_taken_by_their_looks() -> None:
    for key in ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY0a1B2"):  # fmt: skip
        assert key not in redact(f"using {key} now")

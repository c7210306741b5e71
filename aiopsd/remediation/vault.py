"""Secrets of one run: a mark until the last moment, and out of everything that is written.

Redaction goes by value: whatever form a secret comes back in, it is not journalled.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiopsd.remediation.expressions import plain
from aiopsd.remediation.schema import Param

HIDDEN = "***"
LONGEST_TEXT = 8000  # of one text in the journal; its end tells more than its beginning


def new_marks(params: Mapping[str, Param]) -> dict[str, str]:
    """A mark for each secret; nobody outside can guess it, so nobody can ask for the secret."""
    return {
        name: f"<secret {name} {secrets.token_hex(8)}>"
        for name, param in params.items()
        if param.type == "secret"
    }


class Vault:
    """``fetch`` gives a credential's value by name; raises ConfigError when there is none."""

    def __init__(
        self,
        params: Mapping[str, Param],
        marks: Mapping[str, str],
        fetch: Callable[[str], str],
        redact: Callable[[Any], Any] = lambda found: found,
    ) -> None:
        """``redact``: JSON without what nobody should keep, whoever says it."""
        self._credential = {marks[name]: params[name].credential for name in marks}
        self._fetch = fetch
        self._redact = redact
        self._forms: set[str] = set()

    def open(self, inputs: Any) -> Any:
        """The inputs with secrets in the place of their marks: for the executor, nobody else."""
        if isinstance(inputs, Mapping):
            return {key: self.open(entry) for key, entry in inputs.items()}
        if isinstance(inputs, list):
            return [self.open(entry) for entry in inputs]
        if isinstance(inputs, str):
            for mark, credential in self._credential.items():
                if mark in inputs:
                    inputs = inputs.replace(mark, self._secret(credential))
        return inputs

    def clean(self, found: Any) -> Any:
        """JSON without secrets and without marks: what others said, or what people read."""
        known = self._without(plain(found), (*self._sorted(), *self._credential))
        return _cut(self._redact(known))

    def clean_inputs(self, found: Any) -> Any:
        """JSON without secrets; marks stay, so that a run can go on after a restart."""
        return _cut(self._without(plain(found), self._sorted()))

    def _secret(self, credential: str) -> str:
        secret = self._fetch(credential)
        encoded = base64.b64encode(secret.encode()).decode()
        self._forms |= {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), encoded} - {""}
        return secret

    def _sorted(self) -> list[str]:
        return sorted(self._forms, key=len, reverse=True)  # a form may hold another

    def _without(self, found: Any, words: tuple[str, ...] | list[str]) -> Any:
        if isinstance(found, dict):
            return {
                self._without(key, words): self._without(entry, words)
                for key, entry in found.items()
            }
        if isinstance(found, list):
            return [self._without(entry, words) for entry in found]
        if isinstance(found, str):
            for word in words:
                found = found.replace(word, HIDDEN)
        return found


def _cut(found: Any) -> Any:
    """Long texts; after secrets are out, since a cut could go through one."""
    if isinstance(found, dict):
        return {_cut(key): _cut(entry) for key, entry in found.items()}
    if isinstance(found, list):
        return [_cut(entry) for entry in found]
    if isinstance(found, str) and len(found) > LONGEST_TEXT:
        return "..." + found[-LONGEST_TEXT:]
    return found

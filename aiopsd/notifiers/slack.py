"""Slack: one incident is one message, edited in place, and a thread that tells its story."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from aiopsd.contracts import Notifier, NotifierContext
from aiopsd.errors import MissingExtra
from aiopsd.settings import Duration, SecretFile, Settings

HERE = ("127.0.0.1", "::1", "localhost")


class SlackSettings(Settings, frozen=True, kw_only=True, tag="slack"):
    """A channel, by ``#name`` or (better: nobody can rename it) by id."""

    channel: str
    token_file: SecretFile
    api_url: str = "https://slack.com/api/"
    edit_every: Duration = Duration(5)
    timeout: Duration = Duration(10)

    def __post_init__(self) -> None:
        url = urlsplit(self.api_url)
        if not self.api_url.endswith("/api/") or url.scheme not in ("http", "https"):
            raise ValueError(f"`api_url: {self.api_url}` must be a URL that ends with /api/")
        if url.scheme == "http" and url.hostname not in HERE:
            raise ValueError(f"`api_url: {self.api_url}` must be https: it carries the token")
        if not re.fullmatch(r"#?[\w.-]+", self.channel):
            raise ValueError(f"`channel: {self.channel}` is neither #name nor an id like C0123ABCD")
        if not 0 < self.timeout <= 60:
            raise ValueError(f"`timeout: {self.timeout}` must be more than 0s and at most 60s")
        if not 0 < self.edit_every <= 60:
            raise ValueError(f"`edit_every: {self.edit_every}` must be more than 0s, at most 60s")

    def extra(self) -> str:
        return "slack"

    def build(self, context: NotifierContext) -> Notifier:
        try:
            from aiopsd.notifiers.slack_api import SlackApi
            from aiopsd.notifiers.slack_notifier import Slack
        except ModuleNotFoundError:
            raise MissingExtra("slack", "slack") from None
        token = self.token_file.read(context.base)
        api = SlackApi(token, self.api_url, float(self.timeout))
        return Slack(api, self.channel, float(self.edit_every), context)

"""What people write for notifiers, and what they read when it is wrong."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiopsd.document import read
from aiopsd.notifiers import NotifierSettings
from aiopsd.notifiers.mqtt import MqttSettings
from aiopsd.notifiers.slack import SlackSettings
from aiopsd.settings import Duration, Reader, SecretFile

TOKEN = SecretFile("token")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channel": ""}, "channel"),
        ({"channel": "#ops, #dev"}, "neither #name nor an id"),
        ({"api_url": "https://slack.com/api"}, "ends with /api/"),
        ({"api_url": "slack.com/api/"}, "ends with /api/"),
        ({"api_url": "http://slack.com/api/"}, "must be https"),
        ({"edit_every": Duration(0)}, "edit_every"),
        ({"timeout": Duration(90)}, "timeout"),
    ],
)
def test_wrong_slack_settings(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SlackSettings(**({"channel": "#ops", "token_file": TOKEN} | wrong))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": " "}, "no broker"),
        ({"port": 0}, "no broker"),
        ({"topic": ""}, "plain topic"),
        ({"topic": "a/#"}, "plain topic"),
        ({"topic": "/a"}, "plain topic"),
        ({"topic": "a/"}, "plain topic"),
        ({"topic": "$SYS"}, "plain topic"),
        ({"password_file": TOKEN}, "username"),
        ({"ca_file": "ca.pem"}, "tls"),
        ({"timeout": Duration(0)}, "timeout"),
    ],
)
def test_wrong_mqtt_settings(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MqttSettings(**({"host": "127.0.0.1"} | wrong))


def test_a_wrong_entry_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "aiopsd.yaml"
    path.write_text("ops:\n  type: slack\n  channel: '#ops'\n  token: xoxb-1\n")
    document = read(path)
    Reader(document).read(dict[str, NotifierSettings], document.data)
    told = "\n".join(map(str, document.problems))
    assert "aiopsd.yaml:4:3" in told
    assert "'token_file'" in told
    assert "xoxb" not in told


@pytest.mark.parametrize(("part", "library"), [("slack", "slack_sdk"), ("mqtt", "aiomqtt")])
def test_a_missing_library_is_named(tmp_path: Path, part: str, library: str) -> None:
    (tmp_path / "token").write_text("t")
    code = f"""
import sys, time
from pathlib import Path
import aiopsd.notifiers
assert not {{"slack_sdk", "aiomqtt", "paho"}} & set(sys.modules), "listing must be cheap"
sys.modules[{library!r}] = None
from aiopsd.contracts import NotifierContext
from aiopsd.errors import MissingExtra
from aiopsd.notifiers import MqttSettings, SlackSettings
from aiopsd.settings import SecretFile
context = NotifierContext(name="x", clock=time.time, count=print, delivered={{}}, record=print,
                          base=Path({str(tmp_path)!r}))
settings = {{"slack": SlackSettings(channel="#x", token_file=SecretFile("token")),
            "mqtt": MqttSettings(host="127.0.0.1")}}[{part!r}]
try:
    settings.build(context)
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{part} needs the extra '{part}': pip install 'aiopsd[{part}]'\n", done

"""Every kind of wrong entry is found, named with its place, and never stops the reading."""

from __future__ import annotations

import os
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiopsd.config import WrongConfig, inspect, load, state_folder, web_address
from aiopsd.errors import ConfigError
from aiopsd.settings import EXTRAS
from tests.docs.snippets import ROOT

SECRET = "s3cr3t-never-shown"
DAEMON = """\
sources:
  prom: {type: prometheus, url: "http://127.0.0.1:9090", username: me, password_file: secret}
  direct: {type: scrape, targets: ["http://a:9100/metrics", {url: "http://b:1/m", labels: {x: y}}]}
  logs: {type: loki, url: "http://127.0.0.1:3100", query: '{job=~".+"} |= "x"'}
  alerts: {type: alertmanager, token_file: secret}
notifiers:
  ops: {type: slack, channel: "#ops", token_file: secret}
  desk: {type: webhook, url: "https://desk.example/hook", secret_file: secret}
executors:
  tool: {type: command, allow: [./release]}
  api: {type: http, allow: ["https://a.example/api/"]}
automation: {mode: auto, runs_per_hour: 3}
incidents: {join: 5m}
topology: {web: [api, db]}
limits: {series: 1000, keep: 30d}
"""
RULES = """\
pack: mine
enable_when: [http_requests_total]
rules:
  - id: errors
    promql: sum by (service) (rate(errors_total[5m]))
    detector: {type: band, direction: up, floor: 0.01}
    for: 1m
    unit: ratio
  - id: latency
    select: http_request_duration_seconds_bucket{job="shop"}
    as: p95
    by: [service]
    detector: {type: threshold, above: 0.5}
  - id: release
    select: build_info
    by: [service, version]
    change: {label: version}
"""
PLAYBOOK = """\
playbook: v1
name: call
owner: me
mode: observe
on: [{incident: error-rate, when: root.score > 0.5}]
target: {kind: service, id: "${root.service}"}
metrics: {up: 'sum(up{job="${root.service}"})'}
steps:
  - id: call
    do: api.request
    with: {url: "https://a.example/api/${root.service}", method: POST, json: {n: 1}}
    retry: {times: 2}
  - {id: tool, do: tool.run, with: {argv: [./release, "${root.service}"]}}
verify:
  within: 5m
  checks: [{name: errors, rule: errors, expect: value < 0.1}]
on_failure: {rollback: never, then: escalate}
"""
UNIT = """\
playbook: v1
name: unit
owner: me
mode: observe
on: [{incident: crash}]
target: {kind: unit, id: a}
steps: [{id: restart, do: systemd.restart, with: {unit: a.service}}]
verify: {within: 5m, checks: [{name: up, rule: errors, expect: value < 1.0}]}
on_failure: {rollback: never, then: escalate}
"""
FILES = {
    "aiopsd.yaml": DAEMON,
    "rules/mine.yaml": RULES,
    "playbooks/call.yaml": PLAYBOOK,
    "secret": SECRET,
}


class Folder:
    """A good configuration, for a test to spoil."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text)

    def spoil(self, name: str, old: str, new: str) -> None:
        assert FILES[name].count(old) == 1, old
        self.write(name, FILES[name].replace(old, new))

    def problems(self) -> list[str]:
        """As people see them, with names as typed in that folder."""
        _, found = inspect(self.path / "aiopsd.yaml")
        said = [str(problem).replace(f"{self.path}/", "") for problem in found]
        assert not any(SECRET in line for line in said)
        return said


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_good_configuration_is_read_as_a_whole(folder: Folder) -> None:
    assert folder.problems() == []
    config = load(folder.path / "aiopsd.yaml")
    assert [rule.id for rule in config.rules] == ["errors", "latency", "release"]
    assert [playbook.name for playbook in config.playbooks] == ["call"]
    assert set(config.executors) == {"command", "http", "systemd", "tool", "api"}
    assert config.state == folder.path / "state"
    assert config.querier == "prom"
    assert [config.streamed(rule) for rule in config.rules] == [False, True, True]


# --- aiopsd.yaml ------------------------------------------------------------------------

WRONG_DAEMON = [
    ("limits: {series", "limts: {series", "15:1: unknown key 'limts'; did you mean 'limits'?"),
    ("join: 5m", "jion: 5m", "13:13: unknown key 'jion'; did you mean 'join'?"),
    ("token_file: secret}\nn", "token: x}\nn", "5:32: unknown key 'token'; did you mean 'token_f"),
    ("labels: {x: y}", "label: {x: y}", "3:83: unknown key 'label'; did you mean 'labels'?"),
    ("join: 5m", "join: 5", "13:19: not a duration: 5; write 90s, 15m, 1h30m; did you mean 5s?"),
    ("join: 5m", "join: 5 m", "13:19: not a duration: '5 m'"),
    ("join: 5m", f"join: {'9' * 400}s", "13:19: a duration of more than a hundred years"),
    ("type: loki", "type: lokki", "4:16: unknown type 'lokki'; did you mean 'loki'?"),
    ("type: loki", "type: [loki]", "4:10: unknown type a list; did you mean 'loki'?"),
    ("{type: slack, ", "{", "7:3: `type` is missing; known: mqtt, slack, webhook"),
    ('"#ops"', "[ops]", "7:22: expected text, got a list"),
    ("[api, db]", "api", "14:17: expected a list, got 'api'"),
    ("series: 1000", "series: many", "15:18: expected a whole number, got 'many'"),
    ("series: 1000", "series: 0", "15:1: `series` must be at least 1"),
    ("keep: 30d", "keep: 1s", "15:1: `keep: 1s` is too short"),
    ("mode: auto", "mode: approve", "12:20: 'approve' is not allowed; known: auto, observe, off"),
    ("runs_per_hour: 3", "runs_per_hour: 0", "12:1: `runs_per_hour` must be at least 1; to stop"),
    ("{join: 5m}", "~", "13:1: expected a mapping (join, confirm, quiet, reopen), got nothing"),
    ("limits: {s", "web: {listen: here}\nlimits: {s", "15:15: 'here' is not host:port, such as"),
    ("limits: {s", "web: {listen: 9797}\nlimits: {s", "15:15: 9797 is a port; on which"),
    ("limits: {s", "web: {listen: ':80'}\nlimits: {s", "15:15: ':80' is a port; on which"),
    ("limits: {s", "web: {listen: [a]}\nlimits: {s", "15:7: a list is not host:port"),
    ('"http://127.0.0.1:9090"', "127.0.0.1:9090", "2:3: `url` must be like http://host:9090"),
    ('"http://127.0.0.1:9090"', f"http://me:{SECRET}@h", "2:3: `url` holds a user or password"),
    ("limits: {s", "rules: none\nlimits: {s", "15:8: cannot read the folder none: No such file"),
    ("limits: {s", "rules: secret\nlimits: {s", "15:8: cannot read the folder secret: Not a dir"),
    ("limits: {s", "playbooks: none\nlimits: {s", "15:12: cannot read the folder none: No such"),
    ("limits: {s", "rules: [rules]\nlimits: {s", "15:1: expected text, got a list"),
    ("limits: {s", 'state: "a\\0b"\nlimits: {s', "15:1: a NUL character"),
    ("username: me, password_file: secret", "token_file: none", "no secret file 'none': looked at"),
    ("username: me, password_file: secret", "token_file: rules", "secret file rules: Is a direct"),
    ("username: me, password_file: secret", "token_file: ''", "2:70: expected text, got ''"),
    ("username: me, password_file: secret", "ca_file: none.pem", "2:67: no such file: "),
    ("  desk:", "  my/desk:", "8:3: 'my/desk' cannot name a part: letters, digits, _ and -"),
    ("  tool:", "  tool.v2:", "10:3: 'tool.v2' cannot name a part"),
    ("notifiers:", "  b: {type: alertmanager}\nnotifiers:", "6:3: `path: /hooks/alertmanager` is"),
    ("notifiers:", "  b: {type: loki_push, path: /hooks/alertmanager}\nnotifiers:",
     "6:3: `path: /hooks/alertmanager` is taken by alerts"),
    ("notifiers:", "  b: {type: remote_write}\n  c: {type: remote_write}\nnotifiers:",
     "7:3: `path: /api/v1/write` is taken by b"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), WRONG_DAEMON)
def test_wrong_in_the_daemons_file(folder: Folder, old: str, new: str, said: str) -> None:
    folder.spoil("aiopsd.yaml", old, new)
    found = folder.problems()
    assert any(line.startswith("aiopsd.yaml:") and said in line for line in found), found


@pytest.mark.parametrize("content", ["", "   \n", "# nothing yet\n"])
def test_an_empty_file_says_what_would_help(folder: Folder, content: str) -> None:
    folder.write("aiopsd.yaml", content)
    assert folder.problems() == [
        "aiopsd.yaml:1:1: the file is empty; `aiopsd init` writes one that works"
    ]


def test_nothing_but_text(folder: Folder) -> None:
    folder.write("aiopsd.yaml", "sources")
    (problem,) = folder.problems()
    assert problem.startswith("aiopsd.yaml:1:1: expected a mapping (sources, rules,")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("join: 5m", "join: 5"),
        ("type: loki", "type: lokki"),
        ("{type: slack, ", "{type: slack, x: 1, "),
        ("{join: 5m}", "{join: 5m"),  # no YAML at all
    ],
)
def test_faults_here_do_not_hide_those_of_rules_and_playbooks(
    folder: Folder, old: str, new: str
) -> None:
    folder.spoil("aiopsd.yaml", old, new)
    folder.spoil("rules/mine.yaml", "type: band", "type: bnd")
    folder.spoil("playbooks/call.yaml", "owner: me", "ownr: me")
    files = [line.split(":")[0] for line in folder.problems()]
    assert files == ["aiopsd.yaml", "rules/mine.yaml", *["playbooks/call.yaml"] * 2]


def test_nor_those_of_its_own_other_parts(folder: Folder) -> None:
    text = DAEMON.replace("join: 5m", "join: 5").replace("type: loki", "type: lokki")
    text = text.replace("password_file: secret", "password_file: none")
    folder.write("aiopsd.yaml", text.replace("  tool:", "  tool.v2:"))
    found = "\n".join(folder.problems())
    for said in ("not a duration: 5", "did you mean 'loki'?", "no secret file 'none'",
                 "'tool.v2' cannot name a part"):  # fmt: skip
        assert said in found


def test_what_a_fault_may_have_caused_is_not_said(folder: Folder) -> None:
    """Neither that nobody answers a rule, nor that an action is not known."""
    text = DAEMON.replace("{type: prometheus, ", "{type: prometheus, x: 1, ")
    folder.write("aiopsd.yaml", text.replace("  tool: {", "  tool: {x: 1, "))
    assert [line.split(":")[0] for line in folder.problems()] == ["aiopsd.yaml"] * 2
    folder.write("aiopsd.yaml", text.replace("{type: command", "{type: comand"))
    assert [line.split(":")[0] for line in folder.problems()] == ["aiopsd.yaml"] * 2


NEEDED = [
    ("aiomqtt", "aiopsd.yaml", "notifiers:\n", "notifiers:\n  hub: {type: mqtt, host: h}\n",
     "7:15: notifier 'hub' needs the extra 'mqtt': pip install 'aiopsd[mqtt]'"),
    ("aiomqtt", "aiopsd.yaml", "notifiers:\n",
     "  hub: {type: mqtt, host: h, topics: [{topic: a}]}\nnotifiers:\n",
     "6:15: source 'hub' needs the extra 'mqtt'"),
    ("slack_sdk", "aiopsd.yaml", "", "", "7:15: notifier 'ops' needs the extra 'slack'"),
    ("statsmodels", "aiopsd.yaml", "limits: {s", "warm_start: {}\nlimits: {s",
     "15:1: warm_start needs the extra 'history'"),
    ("river", "rules/mine.yaml", "{type: band", "{type: step, method: adwin",
     "rule 'errors' needs the extra 'river'"),
    ("dbus_fast", "aiopsd.yaml", "  tool:", "  sys: {type: systemd}\n  tool:",
     "10:15: executor 'sys' needs the extra 'systemd'"),
]  # fmt: skip


def test_actions_of_an_executor_with_faults_are_those_of_its_type(folder: Folder) -> None:
    folder.spoil("aiopsd.yaml", "  tool: {", "  tool: {x: 1, ")
    folder.spoil("playbooks/call.yaml", "tool.run", "tool.rum")
    found = folder.problems()
    assert len(found) == 2
    assert "unknown action 'tool.rum'; did you mean 'tool.run'?" in found[1]


@pytest.mark.parametrize(("library", "name", "old", "new", "said"), NEEDED)
def test_an_extra_that_is_missing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch,
    library: str, name: str, old: str, new: str, said: str,
) -> None:  # fmt: skip
    if old:
        folder.spoil(name, old, new)
    assert folder.problems() == []
    monkeypatch.setitem(sys.modules, library, None)
    (problem,) = folder.problems()
    assert problem.startswith(f"{name}:")
    assert said in problem


def test_an_extra_for_what_a_playbook_may_do(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    folder.write("playbooks/unit.yaml", UNIT)
    assert folder.problems() == []  # to observe needs nothing
    folder.write("playbooks/unit.yaml", UNIT.replace("mode: observe", "mode: auto"))
    assert folder.problems() == [
        "playbooks/unit.yaml:7:27: systemd.restart needs the extra 'systemd': "
        "pip install 'aiopsd[systemd]'"
    ]


def test_every_extra_is_known_here() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert EXTRAS.keys() == project["optional-dependencies"].keys()


def test_load_raises_all_of_them(folder: Folder) -> None:
    folder.spoil("aiopsd.yaml", "join: 5m", "join: 5")
    folder.spoil("rules/mine.yaml", "type: band", "type: bnd")
    with pytest.raises(WrongConfig) as raised:
        load(folder.path / "aiopsd.yaml")
    assert len(raised.value.problems) == len(str(raised.value).splitlines()) == 2


# --- rules ------------------------------------------------------------------------------

WRONG_RULES = [
    ("pack: mine", "pack: mine\npick: x", "2:1: unknown key 'pick'; did you mean 'pack'?"),
    ("pack: mine\n", "", "1:1: `pack` is missing"),
    ("enable_when: [http_requests_total]", "enable_when: x", "2:14: expected a list, got 'x'"),
    ("enable_when: [http_requests_total]", "enable_when: [1]", "2:15: expected text, got 1"),
    ("for: 1m", "for: 60", "7:10: not a duration: 60"),
    ("for: 1m", "fro: 1m", "7:5: unknown key 'fro'; did you mean 'for'?"),
    ("direction: up", "direction: upp", "6:39: 'upp' is not allowed; did you mean 'up'?"),
    ("floor: 0.01", "floor: -1", "6:5: `floor: -1` must be 0 or more"),
    ("floor: 0.01", "floor: .inf", "6:50: expected a number with an end, got inf"),
    ("floor: 0.01", "floor: .nan", "6:50: expected a number with an end, got nan"),
    ("unit: ratio", "unit: ms", "8:11: 'ms' is not allowed; known: bytes, percent, ratio, s"),
    ("unit: ratio", "every: 10ms", "4:5: `every: 0.01s` is too often; at least 1s"),
    ("unit: ratio", "entity: []", "4:5: `entity` is empty"),
    ("unit: ratio", "source: prm", "8:5: rule 'errors': no prometheus source 'prm'; known: prom"),
    ("unit: ratio", "source: direct", "8:5: rule 'errors': no prometheus source 'direct'; known"),
    ("unit: ratio", "kind: eror-rate", "8:11: 'eror-rate' is not allowed; did you mean 'error-r"),
    ("unit: ratio", "change: {}", "4:5: a rule needs a `detector` or a `change`, and not both"),
    ("id: errors", 'id: ""', "4:5: `id: ` must be a word"),
    ("id: errors", "id: my errors", "4:5: `id: my errors` must be a word"),
    ("id: errors", "id: latency", "9:9: rule 'latency' already stands in rules/mine.yaml"),
    ("    promql: sum by (service) (rate(errors_total[5m]))\n", "", "4:5: a rule needs `promql`"),
    ("{type: threshold, above: 0.5}", "{type: threshold}", "13:5: a threshold needs `above` or"),
    ('{job="shop"}', '{job="shop}', "9:5: `select`, column 42: expected a quoted text"),
    ("for: 1m", "over: up\n    as: rate", "4:5: `as`, `over`: belongs to `select`, and says"),
    ("for: 1m", "for: 1000w", "4:5: `for: 7000d` is too long to ever speak; at most 30d"),
    ("for: 1m", "by: [a]", "4:5: `by`: belongs to `select`, and says nothing to `promql`"),
    ("for: 1m", "window: 5m", "4:5: `window`: belongs to `select`"),
    ("for: 1m", "agg: max\n    without: [a]", "4:5: `without`, `agg`: belongs to `select`"),
    ("as: p95", "as: p100", "9:5: `as: p100` is nothing that can be worked out; known: value"),
    ("as: p95", "as: sum", "9:5: `as: sum` is nothing that can be worked out; known: value"),
    ("by: [service]", "without: [service]", "9:5: `without` takes every label of `entity`"),
    ("as: p95", "without: [pod]", "9:5: `by` and `without` exclude each other"),
    ("by: [service]", "by: [instance]", "9:5: `by` keeps no label of `entity: [service]`"),
    ("by: [service]", "window: 0s", "9:5: `window` must be more than 0"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), WRONG_RULES)
def test_wrong_in_a_rule(folder: Folder, old: str, new: str, said: str) -> None:
    folder.spoil("rules/mine.yaml", old, new)
    found = folder.problems()
    assert any(line.startswith(f"rules/mine.yaml:{said}") for line in found), found
    if "id:" not in old:
        assert not any(line.startswith("playbooks/") for line in found), "it is wrong, not missing"


def test_bad_events_by_a_label_that_the_series_do_not_have(folder: Folder) -> None:
    flood = """pack: floods
rules:
  - id: errors_flood
    select: log_lines
    by: [service, severity]
    detector: {type: flood, bad: {severty: [failure]}}
"""
    folder.write("rules/floods.yaml", flood)
    assert [one for one in folder.problems() if "floods.yaml" in one] == [
        "rules/floods.yaml:6:35: rule 'errors_flood': `by` does not keep the label 'severty'; "
        "it keeps service, severity"
    ]
    folder.write("rules/floods.yaml", flood.replace("severty", "severity"))
    assert not [one for one in folder.problems() if "floods.yaml" in one]


def test_bad_lines_by_values_that_no_line_has(folder: Folder) -> None:
    flood = """pack: floods
rules:
  - id: errors_flood
    select: log_lines
    by: [service, level, speaks]
    detector: {type: flood, bad: {level: [error, fatal], speaks: [failures]}}
"""
    folder.write("rules/floods.yaml", flood)
    assert [one for one in folder.problems() if "floods.yaml" in one] == [
        "rules/floods.yaml:6:35: rule 'errors_flood': no line has level='fatal'; "
        "it is one of debug, info, warning, error, critical, unknown",
        "rules/floods.yaml:6:58: rule 'errors_flood': no line has speaks='failures'; "
        "it is one of failure",
    ]


def test_a_wrong_rule_does_not_hide_the_next(folder: Folder) -> None:
    folder.write("rules/mine.yaml", RULES.replace("for: 1m", "for: 1").replace("p95", "p0x"))
    assert [line.split(":")[1] for line in folder.problems()] == ["7", "9"]


def test_a_rule_that_stands_in_two_files(folder: Folder) -> None:
    folder.write("rules/yours.yaml", RULES)
    assert folder.problems() == [
        f"rules/yours.yaml:{line}:9: rule {name!r} already stands in rules/mine.yaml"
        for line, name in ((4, "errors"), (9, "latency"), (14, "release"))
    ]


def test_promql_without_a_prometheus(folder: Folder) -> None:
    folder.write(
        "aiopsd.yaml", "sources: {logs: {type: loki, url: 'http://a'}}\n" + DAEMON.split("\n", 5)[5]
    )
    found = folder.problems()
    needs = "PromQL needs a source of type prometheus; without one, write"
    assert f"rules/mine.yaml:5:5: rule 'errors': {needs} `select`" in found
    assert f"playbooks/call.yaml:7:11: {needs} `rule`" in found


def test_select_without_a_source_that_streams(folder: Folder) -> None:
    folder.write("aiopsd.yaml", "sources: {prom: {type: prometheus, url: 'http://a'}}\n")
    (folder.path / "playbooks" / "call.yaml").unlink()
    assert [line.split(": `")[0] for line in folder.problems()] == [
        "rules/mine.yaml:10:5: rule 'latency'",
        "rules/mine.yaml:15:5: rule 'release'",
    ]


@pytest.mark.parametrize("content", ["", "# nothing yet\n"])
@pytest.mark.parametrize("name", ["rules/empty.yaml", "playbooks/empty.yaml"])
def test_an_empty_file_beside_others(folder: Folder, name: str, content: str) -> None:
    folder.write(name, content)
    assert folder.problems() == [f"{name}:1:1: the file is empty"]


@pytest.mark.parametrize(
    "content", ["rules", "[1, 2]", "5", "rules: 5", "pack: a\nrules: ~", "pack: ["]
)
def test_a_file_that_holds_something_else(folder: Folder, content: str) -> None:
    """It may have held the rule that the playbook names: that is not held against it."""
    folder.write("rules/mine.yaml", content)
    found = folder.problems()
    assert found
    assert all(line.startswith("rules/mine.yaml:") for line in found), found


@pytest.mark.parametrize("name", ["rules/a.yaml", "playbooks/a.yml"])
def test_a_folder_instead_of_a_file(folder: Folder, name: str) -> None:
    (folder.path / name).mkdir()
    assert folder.problems() == [f"{name}:1:1: cannot be read: Is a directory"]


def test_a_file_that_is_no_text(folder: Folder) -> None:
    (folder.path / "rules" / "a.yaml").write_bytes(b"pack: \xff")
    (folder.path / "rules" / "b.yaml").symlink_to("nowhere")
    assert folder.problems() == [
        "rules/a.yaml:1:1: is not UTF-8 text (byte 6)",
        "rules/b.yaml:1:1: cannot be read: No such file or directory",
    ]


def test_what_an_editor_leaves_is_not_read(folder: Folder) -> None:
    (folder.path / "rules" / ".#mine.yaml").symlink_to("me@host.4711")
    folder.write("rules/mine.yaml~", "x: [")
    folder.write("rules/.mine.yaml.swp", "x: [")
    folder.write("rules/README.md", "# rules")
    assert folder.problems() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read as somebody else")
def test_unreadable_files(folder: Folder) -> None:
    """As the daemon's own user sees them."""
    folder.path.chmod(0o755)
    (folder.path / "rules" / "mine.yaml").chmod(0o000)
    (folder.path / "secret").chmod(0o000)
    (folder.path / "playbooks").chmod(0o700)
    found = _as_nobody(folder)
    assert any("rules/mine.yaml:1:1: cannot be read: Permission denied" in line for line in found)
    assert any("secret file" in line and "Permission denied" in line for line in found)
    assert any("cannot read the folder playbooks: Permission" in line for line in found), found


def _as_nobody(folder: Folder) -> list[str]:
    """What ``inspect`` finds in a child that is user 54321."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        said = "it raised"
        try:
            os.chdir(folder.path)  # the folders above it are private
            os.setuid(54321)
            said = "\n".join(str(p) for p in inspect(Path("aiopsd.yaml"))[1])
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    os.wait()
    with os.fdopen(reading) as answer:
        return answer.read().splitlines()


# --- playbooks --------------------------------------------------------------------------

WRONG_PLAYBOOKS = [
    ("owner: me", "ownr: me", "3:1: unknown key 'ownr'; did you mean 'owner'?"),
    ("within: 5m", "within: 5", "15:11: not a duration: 5"),
    ("rule: errors", "rule: eror", "16:33: no rule 'eror'; did you mean 'errors'?"),
    ("api.request", "apo.request", "10:9: unknown action 'apo.request'; did you mean 'api.reques"),
    ("api/${root.service}", "", "11:5: api.request: https://a.example/ is not allowed; write exec"),
    ("https://a.example/api/${root.service}", "http://[bad/", "11:5: api.request: http://[bad/ is"),
    ("[./release,", "[./relase,", "13:30: tool.run: `argv`: ./relase is not among the allowed"),
    ("root.score > 0.5", "root.skore > 0.5", "5:35: `root` has no `skore`; did you mean `score`?"),
    ("value < 0.1", "value < ", "16:56: ends too early"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), WRONG_PLAYBOOKS)
def test_wrong_in_a_playbook(folder: Folder, old: str, new: str, said: str) -> None:
    folder.spoil("playbooks/call.yaml", old, new)
    found = folder.problems()
    assert any(line.startswith(f"playbooks/call.yaml:{said}") for line in found), found


def test_a_playbook_that_stands_in_two_files(folder: Folder) -> None:
    folder.write("playbooks/other.yml", PLAYBOOK)
    assert folder.problems() == [
        "playbooks/other.yml:2:7: playbook 'call' already stands in playbooks/call.yaml"
    ]


# --- where things are -------------------------------------------------------------------


def test_paths_begin_beside_the_file_that_a_link_leads_to(folder: Folder, tmp_path: Path) -> None:
    """``check`` and ``run`` must look in the same place."""
    (tmp_path / "etc").mkdir()
    link = tmp_path / "etc" / "aiopsd.yaml"
    link.symlink_to(folder.path / "aiopsd.yaml")
    assert inspect(link)[1] == []
    assert load(link).state == load(link.resolve()).state == state_folder(link)


def test_folders_elsewhere(folder: Folder, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as other:
        (Path(other) / "mine.yaml").write_text(RULES.replace("for: 1m", "for: 1"))
        folder.write("aiopsd.yaml", DAEMON + f"rules: {other}\nstate: /var/lib/x\n")
        assert folder.problems() == [
            f"{other}/mine.yaml:7:10: not a duration: 1; write 90s, 15m, 1h30m; did you mean 1s?"
        ]
        assert state_folder(folder.path / "aiopsd.yaml") == Path("/var/lib/x")


def test_the_address_is_read_leniently(folder: Folder) -> None:
    path = folder.path / "aiopsd.yaml"
    assert web_address(path) == ("127.0.0.1", 9797)
    folder.write("aiopsd.yaml", "nonsense: [\nweb: {listen: 'x:1'}")
    assert web_address(path) == ("127.0.0.1", 9797)
    folder.write("aiopsd.yaml", "sources: 5\nweb: {listen: '[::1]:80', more: 5}")
    assert web_address(path) == ("::1", 80)
    folder.write("aiopsd.yaml", "web: {listen: x}")
    with pytest.raises(ConfigError, match="is not host:port"):
        web_address(path)


# --- whatever people do to a file -------------------------------------------------------

JUNK = (
    *("", " ", "\t", "\n", "- ", "{", "}", "[", "]", ":", '"', "'", "&a ", "*a", "!x ", "%", "|"),
    *("#", "0", "-1", "9" * 400, "null", "~", "\0", "\\0", "é", "(", "${", "\\", "=", ",", "?"),
    *("1e999", ".nan", ".inf", "true", "@", "`", "http://[x/", "2020-01-01", "<<: ", "---\n"),
)
Edit = Callable[[str], str]


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Deletes, doubles or replaces a line or a character, somewhere."""
    share = draw(st.floats(0, 1, exclude_max=True))
    what = draw(st.sampled_from(("delete", "double", "replace", "value")))
    junk = draw(st.sampled_from(JUNK))
    by_line = draw(st.booleans())

    def edit(text: str) -> str:
        parts = text.splitlines(keepends=True) if by_line else list(text)
        if not parts:
            return junk
        at = int(share * len(parts))
        key, colon, _ = parts[at].partition(":")
        value = f"{key}: {junk}\n" if colon and by_line else junk
        new = {"delete": "", "double": parts[at] * 2, "replace": junk, "value": value}[what]
        return "".join([*parts[:at], new, *parts[at + 1 :]])

    return edit


@pytest.fixture(scope="module")
def spoiled() -> Iterator[Folder]:
    with tempfile.TemporaryDirectory() as path:
        yield Folder(Path(path))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(sorted(FILES)), changes=st.lists(edits(), min_size=1, max_size=3))
def test_inspect_never_raises(spoiled: Folder, name: str, changes: list[Edit]) -> None:
    text = FILES[name]
    for change in changes:
        text = change(text)
    spoiled.write(name, text)
    try:
        config, problems = inspect(spoiled.path / "aiopsd.yaml")
        state_folder(spoiled.path / "aiopsd.yaml")
    finally:
        spoiled.write(name, FILES[name])
    assert (config is not None) or problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)
    assert not any(SECRET in str(problem) for problem in problems)

"""What a test needs of the machine, said by a marker: `@pytest.mark.prometheus`.

A marked test skips, with the reason, where its capability is missing. Where $AIOPSD_REQUIRE names
the marker (comma-separated), a missing capability is an error instead: a green run then means that
these tests ran.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared machine is slow at times; that says nothing of the code.
# Each run tries the same examples; `make soak` draws others.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="AIOPSD_SOAK" not in os.environ,
)
settings.load_profile("patient")

Missing = str | None  # why the machine cannot run such tests


def program(*names: str) -> Callable[[], Missing]:
    def probe() -> Missing:
        absent = [name for name in names if shutil.which(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else None

    return probe


def namespaces(*names: str) -> Missing:
    if os.geteuid() != 0:
        return "needs root"
    options = [f"--{name}" for name in names]
    done = subprocess.run(["unshare", *options, "--fork", "true"], capture_output=True, text=True)
    return None if done.returncode == 0 else f"no namespaces here: {done.stderr.strip()}"


def systemd_manager() -> Missing:
    absent = program("systemctl", "dbus-daemon", "pkaction", "nsenter", "setpriv")()
    return absent or namespaces("mount", "pid", "cgroup", "ipc", "uts")


def small_disk() -> Missing:
    mount = "mount -t tmpfs none /mnt"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", mount], capture_output=True, text=True)
    return None if done.returncode == 0 else f"cannot mount here: {done.stderr.strip()}"


JOURNAL_REMOTE = "/lib/systemd/systemd-journal-remote"


def journal() -> Missing:
    absent = f"not installed: {JOURNAL_REMOTE}" if not Path(JOURNAL_REMOTE).exists() else None
    return program("journalctl")() or absent


CAPABILITIES: dict[str, tuple[str, Callable[[], Missing]]] = {
    "systemd": ("starts a system manager in namespaces (root)", systemd_manager),
    "systemd_analyze": ("lints unit files", program("systemd-analyze")),
    "netns": ("has hosts in network namespaces (root)", lambda: namespaces("net", "mount")),
    "small_disk": ("mounts a small disk (root)", small_disk),
    "prometheus": ("starts Prometheus", program("prometheus", "promtool")),
    "alertmanager": ("starts Alertmanager", program("prometheus-alertmanager")),
    "node_exporter": ("starts node_exporter", program("prometheus-node-exporter")),
    "mosquitto": ("starts an MQTT broker", program("mosquitto")),
    "journal": ("writes and reads a journal of systemd", journal),
    "chromium": ("looks at pages in a browser", program("chromium")),
}


@cache
def missing(name: str) -> Missing:
    return CAPABILITIES[name][1]()


def required() -> frozenset[str]:
    return frozenset(filter(None, os.environ.get("AIOPSD_REQUIRE", "").split(",")))


def pytest_configure(config: pytest.Config) -> None:
    for name, (meaning, _) in CAPABILITIES.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    if unknown := required() - CAPABILITIES.keys():
        raise pytest.UsageError(
            f"AIOPSD_REQUIRE names {sorted(unknown)}; there are {sorted(CAPABILITIES)}"
        )


ALONE = ("chaos", "e2e")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests one worker runs: a file's together, and all of the one system manager's.

    Those with a daemon of their own take long, wait for most of it and share nothing: each goes
    to whoever is free. They come spread among the others, which have work for the processor
    meanwhile.
    """
    for item in items:
        folder = item.path.parent.name
        if folder not in ALONE:
            group = folder if folder == "systemd" else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))
    alone = [item for item in items if item.path.parent.name in ALONE]
    others = [item for item in items if item.path.parent.name not in ALONE]
    place = {id(one): n / len(part) for part in (alone, others) for n, one in enumerate(part)}
    items.sort(key=lambda item: place[id(item)])


def pytest_report_header() -> list[str]:
    lines = [f"{name} ({why})" for name in CAPABILITIES if (why := missing(name))]
    able = [name for name in CAPABILITIES if not missing(name)]
    return [
        f"this machine has: {', '.join(able) or 'nothing special'}",
        f"and has not: {'; '.join(lines) or 'all there'}",
        f"required: {', '.join(sorted(required())) or 'nothing'}",
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in CAPABILITIES:
        if item.get_closest_marker(name) and (why := missing(name)):
            if name in required():
                pytest.fail(f"{name} is required of this machine: {why}", pytrace=False)
            pytest.skip(f"{name}: {why}")

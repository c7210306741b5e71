"""`systemd_manager`: a real system manager, for tests marked `systemd`.

    @pytest.mark.systemd
    async def test_restart(systemd_manager: Manager) -> None:
        systemd_manager.add_unit("shop.service", "[Service]\\nExecStart=/bin/sleep infinity\\n")
        systemd_manager.systemctl("start", "shop.service")
        bus = await MessageBus(bus_address=systemd_manager.bus_address).connect()  # dbus-fast
        ...
        systemd_manager.wait("shop.service", "ActiveState", "active")

One manager serves the whole session: name your units as nobody else does, and stop them.
"""

from collections.abc import Iterator

import pytest

from tests.systemd.manager import Manager, running_manager


@pytest.fixture(scope="session")
def systemd_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    with running_manager(tmp_path_factory.mktemp("systemd") / "manager.log") as manager:
        yield manager

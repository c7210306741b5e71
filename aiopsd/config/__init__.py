"""aiopsd.yaml, rules/ and playbooks/ become one frozen Config; every wrong entry is named.

``inspect`` goes on after a fault and returns all of them; ``load`` is for those who cannot go
on. The same reading serves ``aiopsd check``, the daemon's start and its reload.
"""

from aiopsd.config.inspection import Config, WrongConfig, inspect, load
from aiopsd.config.lenient import state_folder, web_address
from aiopsd.config.schema import (
    AutomationSettings,
    ChangeSettings,
    DaemonSettings,
    IncidentSettings,
    LimitSettings,
    PackSettings,
    RuleSettings,
    WebSettings,
)

__all__ = [
    "AutomationSettings",
    "ChangeSettings",
    "Config",
    "DaemonSettings",
    "IncidentSettings",
    "LimitSettings",
    "PackSettings",
    "RuleSettings",
    "WebSettings",
    "WrongConfig",
    "inspect",
    "load",
    "state_folder",
    "web_address",
]

"""Who wrote a line, by the labels of its stream.

Where there is no ``service``, it is what Loki would take for its ``service_name``:
https://grafana.com/docs/loki/latest/get-started/labels/#default-labels-for-all-users
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final = (
    "service", "service_name", "app", "application", "app_name", "app_kubernetes_io_name",
    "compose_service", "container", "container_name", "k8s_container_name", "component", "workload",
)  # fmt: skip
_NOBODY: Final = frozenset({"", "unknown_service"})


def service_of(labels: Mapping[str, str]) -> str:
    """Empty where no label names one."""
    return next((told for name in _NAMES if (told := labels.get(name, "")) not in _NOBODY), "")

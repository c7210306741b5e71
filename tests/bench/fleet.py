"""A fleet's series as Prometheus would tell of them: labels, their JSON, and whole answers."""

import json

import numpy as np

from aiopsd.model import Floats, Labels


def labels(number: int) -> Labels:
    """Ten labels, some 270 bytes of JSON."""
    return {
        "__name__": "http_request_duration_seconds_count",
        "container": "checkout",
        "endpoint": "metrics",
        "handler": f"/api/v1/items/{number % 97}",
        "instance": f"10.{number // 62500}.{number // 250 % 250}.{number % 250}:8080",
        "job": "kubernetes-pods",
        "namespace": "production",
        "pod": f"checkout-7d9f8b6c5d-{number:07d}",
        "service": "checkout",
    }


def names(series: int) -> list[bytes]:
    return [json.dumps(labels(n), separators=(",", ":")).encode() for n in range(series)]


def answer(names: list[bytes], values: Floats, time_s: float = 1_795_421_130.832) -> bytes:
    """To an instant query."""
    rows = [
        b'{"metric":%b,"value":[%.3f,"%b"]}' % (name, time_s, repr(value).encode())
        for name, value in zip(names, values.tolist(), strict=True)
    ]
    head = b'{"status":"success","data":{"resultType":"vector","result":['
    return head + b",".join(rows) + b"]}}"


def range_answer(names: list[bytes], ticks: int, time_s: int = 1_795_421_130) -> bytes:
    """To a range query, every 15 seconds."""
    grid = np.round(100 + np.random.default_rng(1).standard_normal((len(names), ticks)), 6)
    rows = [
        {
            "metric": json.loads(name),
            "values": [[time_s + 15 * n, repr(value)] for n, value in enumerate(row)],
        }
        for name, row in zip(names, grid.tolist(), strict=True)
    ]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": rows}}
    return json.dumps(answer, separators=(",", ":")).encode()


def values(series: int, seed: int = 1) -> Floats:
    return np.round(100 + 10 * np.random.default_rng(seed).standard_normal(series), 6)

"""The fitting process: ``python -m aiopsd.fitting.child`` with a Job on its standard input.

It bounds its own memory, gives way to everything else, and ends when the daemon does.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from aiopsd.fitting.fit import fit
from aiopsd.fitting.job import Done, Failed, Found, Job, Question, Word
from aiopsd.model import Floats

DAY_SECS = 86400.0
OWN_BYTES = 512 * 2**20  # libraries, before the first sample


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    os.nice(19)
    limit = OWN_BYTES + job.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for question in job.questions:
        try:
            for word in _words(job, question):
                _say(word)
        except MemoryError:
            _say(Failed(question.rule, f"more than {job.memory_bytes >> 20} MiB; fewer `series`?"))


def _say(word: Word) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(word) + b"\n")
    sys.stdout.buffer.flush()


def _words(job: Job, question: Question) -> Iterator[Word]:
    from prometheus_api_client.exceptions import PrometheusApiClientException
    from requests import RequestException

    try:
        series, beyond = _history(job, question)
    except (RequestException, PrometheusApiClientException, ValueError, KeyError) as error:
        yield Failed(question.rule, " ".join(str(error).split())[:300])
        return
    fitted = 0
    for key, (times_s, values) in series.items():
        found = fit(np.concatenate(times_s), np.concatenate(values))
        if found is not None:
            fitted += 1
            season = [x if np.isfinite(x) else None for x in found.season.tolist()]
            yield Found(question.rule, dict(key), found.level, found.scale, season,
                        found.period, found.samples)  # fmt: skip
    yield Done(question.rule, fitted, beyond + len(series) - fitted)


_Series = dict[tuple[tuple[str, str], ...], tuple[list[Floats], list[Floats]]]


def _history(job: Job, question: Question) -> tuple[_Series, int]:
    """Day by day, so that no answer is large; and how many series there were too many."""
    client = _client(job)
    series: _Series = {}
    beyond: set[tuple[tuple[str, str], ...]] = set()
    start_s = job.start_s
    while start_s < job.end_s:
        end_s = min(start_s + DAY_SECS - job.step_secs, job.end_s)
        for row in client.custom_query_range(
            question.promql,
            datetime.fromtimestamp(start_s, UTC),
            datetime.fromtimestamp(end_s, UTC),
            f"{job.step_secs:g}",
            params=dict(job.params),
        ):
            labels = {k: v for k, v in row["metric"].items() if k != "__name__"}
            key = tuple(sorted(labels.items()))
            if key not in series and len(series) >= job.max_series:
                beyond.add(key)
                continue
            times_s, values = series.setdefault(key, ([], []))
            points = row.get("values", [])
            times_s.append(np.array([point[0] for point in points], np.float64))
            values.append(np.array([float(point[1]) for point in points], np.float64))
        start_s += DAY_SECS
    return series, len(beyond)


def _client(job: Job) -> Any:
    from prometheus_api_client import PrometheusConnect
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    session = Session()
    session.trust_env = False  # no ~/.netrc, no proxy that the daemon itself does not use
    session.verify = job.ca_file or True
    session.max_redirects = 0  # credentials travel to the named address only
    retry = Retry(total=3, backoff_factor=1, status_forcelist=(429, 502, 503, 504))
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return PrometheusConnect(
        url=job.url.rstrip("/"),
        headers=dict(job.headers),
        session=session,
        timeout=int(max(1, job.timeout_secs)),
    )


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()

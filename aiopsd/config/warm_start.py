"""What a warm start asks of each Prometheus that the configuration names."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from aiopsd.config.inspection import Config
from aiopsd.config.schema import WarmStartSettings
from aiopsd.contracts import Query
from aiopsd.fitting.job import Job, Question
from aiopsd.sources.prometheus import PrometheusSettings


def jobs(
    config: Config,
    warm: WarmStartSettings,
    asked: Callable[[str], Sequence[Query]],
    teachable: Container[str],
    now_s: float,
) -> dict[str, Job]:
    """By source, of those with something to ask. ``asked``: what rules ask of a source;
    ``teachable``: rules whose detector learns from a fit."""
    found = {}
    for name, source in config.daemon.sources.items():
        questions = tuple(
            Question(query.rule, query.promql) for query in asked(name) if query.rule in teachable
        )
        if isinstance(source, PrometheusSettings) and questions:
            found[name] = _job(config, warm, source, questions, now_s)
    return found


def _job(
    config: Config,
    warm: WarmStartSettings,
    source: PrometheusSettings,
    questions: tuple[Question, ...],
    now_s: float,
) -> Job:
    step_secs = float(warm.step)
    end_s = (now_s - float(source.delay)) // step_secs * step_secs
    return Job(
        url=source.url,
        headers=source.headers_for(config.base),
        ca_file=str(config.base / source.ca_file) if source.ca_file else "",
        questions=questions,
        start_s=end_s - float(warm.history),
        end_s=end_s,
        step_secs=step_secs,
        timeout_secs=max(30.0, float(source.timeout)),
        max_series=warm.series,
        memory_bytes=warm.memory_mib * 2**20,
    )

"""Warm start: a week's seasons, levels and scales, fitted to long history in a process of its own.

``teacher`` (in the daemon) starts the process, hands it a ``job`` on its standard input and reads
what it found; ``child`` asks Prometheus and calls ``fit``. The daemon runs on meanwhile.
"""

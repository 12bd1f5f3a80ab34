"""Benchmarks: seconds, memory and agreement of facelink beside a plain implementation.

Run from the root of the repository: ``python -m benchmarks.links``, ``python -m
benchmarks.stages``, each with ``--quick`` for a trial of a minute and ``--out`` to
keep a record; ``python -m benchmarks.compare A.json B.json`` compares two records.
"""

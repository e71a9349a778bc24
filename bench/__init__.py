"""Measurements: run as `python -m bench.NAME`, at the top of the repository. README.md says what came of them."""

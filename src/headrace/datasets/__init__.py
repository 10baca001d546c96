"""Datasets: examples to learn from and to be measured by, in versions that never change.

Read example.py (what a row is), parse.py (what people write, and what is wrong with it), source.py
(files), version.py and store.py (adding, reading, comparing), segment.py (how rows lie on the
disk), split.py (splits that stay as they are), then what looks at the rows: similar.py,
overlap.py, statistics.py, card.py.
"""

from headrace.datasets.example import Example, Provenance
from headrace.datasets.store import DatasetStore
from headrace.datasets.version import Version

__all__ = ["DatasetStore", "Example", "Provenance", "Version"]

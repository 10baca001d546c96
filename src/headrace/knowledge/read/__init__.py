"""Reading: the bytes of a file become a `Document`.

Read settings.py (limits), source.py (files and folders), read.py (the one front), draft.py (how a
format builds its document), decode.py (encodings), then formats/, one file each. Addresses (URLs)
are not fetched here.
"""

from headrace.knowledge.read.read import read
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source, find_sources, load_file

__all__ = ["ReadSettings", "Source", "find_sources", "load_file", "read"]

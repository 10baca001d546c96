"""Releases: everything that changes behaviour as one immutable, content-addressed, signed bundle.

Read manifest.py (what a release is), build.py (from a folder's files), store.py (kept, verified,
put on channels), channel.py (what a running service looks at), diff.py, layout.py (carried
elsewhere as an OCI layout).
"""

from headrace.releases.manifest import Manifest
from headrace.releases.store import Release, ReleaseStore

__all__ = ["Manifest", "Release", "ReleaseStore"]

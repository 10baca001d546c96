"""A file of a repository on a Hugging Face hub (`HF_ENDPOINT`, `HF_TOKEN` are honoured)."""

import os
from pathlib import Path

from headrace.models.fetch.download import download, explained
from headrace.models.reference import HubReference
from headrace.models.store import Progress

__all__ = ["fetch_file"]

DEFAULT_ENDPOINT = "https://huggingface.co"


def fetch_file(reference: HubReference, target: Path, report: Progress) -> str:
    """Put the repository's file into `target`; gives the file's own name.

    Raises:
        WeightsUnavailable: nobody answers, or the repository or file is not there.
    """
    import httpx

    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    token = os.environ.get("HF_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = f"{endpoint}/{reference.repository}/resolve/{reference.revision}/{reference.file}"
    what = f"{reference.repository}/{reference.file}"
    # httpx drops the authorization header when a redirect leads to another host.
    with httpx.Client(follow_redirects=True, timeout=30, headers=headers) as client:
        with explained(what):
            download(client, url, target, f"fetching {what}", report)
    return reference.file.rsplit("/", 1)[-1]

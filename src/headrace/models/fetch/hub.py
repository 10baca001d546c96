"""A file of a repository on a Hugging Face hub (`HF_ENDPOINT`, `HF_TOKEN` are honoured)."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.models.fetch.download import download, explained
from headrace.models.progress import Progress
from headrace.models.reference import HubReference

if TYPE_CHECKING:
    import httpx

__all__ = ["fetch_file", "look_up"]

DEFAULT_ENDPOINT = "https://huggingface.co"


def fetch_file(reference: HubReference, target: Path, report: Progress) -> str:
    """Put the repository's file into `target`; gives the file's own name.

    Raises:
        WeightsUnavailable: nobody answers, or the repository or file is not there.
    """
    what = f"{reference.repository}/{reference.file}"
    with _client() as client, explained(what):
        download(client, _url(reference), target, f"fetching {what}", report)
    return reference.file.rsplit("/", 1)[-1]


def look_up(reference: HubReference) -> None:
    """Ask whether the file is there, without fetching it.

    Raises:
        WeightsUnavailable: the repository or file is not there, or nobody answers.
    """
    with _client() as client, explained(f"{reference.repository}/{reference.file}"):
        client.head(_url(reference)).raise_for_status()


def _client() -> "httpx.Client":
    import httpx

    token = os.environ.get("HF_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    # httpx drops the authorization header when a redirect leads to another host.
    return httpx.Client(follow_redirects=True, timeout=30, headers=headers)


def _url(reference: HubReference) -> str:
    endpoint = (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")
    return f"{endpoint}/{reference.repository}/resolve/{reference.revision}/{reference.file}"

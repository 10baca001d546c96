"""Models that are another one with a LoRA adapter on it: which adapter that is, and where it lies."""

from pathlib import Path

import msgspec

from headrace.config.model import ModelConfig
from headrace.errors import NotFound
from headrace.models.adapter import ADAPTERS, AdapterStore
from headrace.models.errors import WeightsUnavailable

__all__ = ["REGISTRY", "AdapterSource", "registered", "resolve_adapter"]

REGISTRY = "registry:"
"""Begins a reference to an adapter that a fine-tune has made here."""


class AdapterSource(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter, as who serves it is told of it."""

    reference: str
    """`file:PATH` of its GGUF file; for a remote server, of the folder with its PEFT files."""
    digest: str = ""
    """Of the registry's adapters: `sha256:…`; empty otherwise."""
    sha256: str | None = None
    """What a `file:` is to be; None: the first one seen is pinned."""
    base_sha256: str = ""
    """The weights that it was trained on, where that is known."""


def resolve_adapter(config: ModelConfig, home: Path, *, as_folder: bool) -> AdapterSource:
    """Where a declared adapter lies.

    Args:
        as_folder: whoever serves it reads PEFT's files, not the GGUF one.

    Raises:
        ConfigError: there is none of that digest, or the reference is none.
    """
    assert config.adapter is not None
    wanted = config.adapter.adapter
    if wanted.startswith("file:"):
        return AdapterSource(reference=wanted, sha256=config.adapter.sha256)
    if not wanted.startswith(REGISTRY):
        raise config.node.error(
            f"{wanted!r} is not a reference to an adapter",
            "adapter",
            hint="write registry:sha256:… (`headrace train list` shows them) or file:PATH",
        )
    try:
        return registered(wanted.removeprefix(REGISTRY), home, as_folder=as_folder)
    except (NotFound, WeightsUnavailable) as error:
        raise config.node.error(error.message, "adapter", hint=error.hint) from error


def registered(digest: str, home: Path, *, as_folder: bool = False) -> AdapterSource:
    """Where an adapter of the registry lies.

    Raises:
        NotFound: there is none of that digest.
        WeightsUnavailable: it has no file of the kind that is wanted.
    """
    found = AdapterStore(home).get(digest)
    file = Path(found.path) if as_folder else found.gguf
    if file is None:
        raise WeightsUnavailable(
            f"the adapter {found.digest} has no GGUF file",
            hint="the embedded runtime cannot serve this architecture's adapters; vLLM can",
        )
    if (home / ADAPTERS).is_symlink():
        # A build's, in a folder that is gone afterwards: the reference is to outlive it.
        file = file.resolve()
    return AdapterSource(
        reference=f"file:{file}", digest=found.digest, base_sha256=found.base_sha256
    )

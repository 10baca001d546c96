"""The adapter store: LoRA weights by content, for the runtime that puts them on a base model.

`HOME/adapters/sha256-…/` holds one adapter: `adapter.gguf` (what llama.cpp loads),
`adapter_model.safetensors` and `adapter_config.json` (what PEFT and vLLM load), `card.md`,
`card.json`, and `adapter.json` (an `Adapter`). Folders arrive under another name and are renamed
when whole. Nothing here says which adapters are served: that is the service's to decide.
"""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.errors import NotFound, did_you_mean

__all__ = ["ADAPTERS", "Adapter", "AdapterStore"]

ADAPTERS = "adapters"
"""In the home."""
_ABOUT = "adapter.json"


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """One adapter."""

    digest: str
    """`sha256:…` over its weights and configuration."""
    name: str
    """For people and for clients: several may share one; the newest wins."""
    base: str
    """Reference of the weights that it was trained on."""
    base_sha256: str
    """Of those weights: on others it means nothing."""
    job: str = ""
    """The fine-tune that made it."""
    created_at: float = 0.0
    metadata: dict[str, str] = {}
    path: str = ""
    """Its folder; not stored."""

    @property
    def gguf(self) -> Path | None:
        """The file for llama.cpp, where there is one."""
        file = Path(self.path) / "adapter.gguf"
        return file if file.exists() else None


class AdapterStore:
    """Adapters of one home. Reads and writes files: not for an event loop."""

    def __init__(self, home: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = home / ADAPTERS
        self._clock = clock

    def list(self) -> "list[Adapter]":
        """Every adapter, newest first."""
        found = [self._read(each) for each in self._folder.glob("sha256-*")]
        return sorted(
            (each for each in found if each is not None),
            key=lambda each: (each.created_at, each.digest),
            reverse=True,
        )

    def get(self, wanted: str) -> Adapter:
        """The adapter of a digest (any beginning of it that fits one), or the newest of a name.

        Raises:
            NotFound: there is none, or the digest's beginning fits several.
        """
        listed = self.list()
        if wanted.startswith("sha256:"):
            fitting = [each for each in listed if each.digest.startswith(wanted)]
            if len(fitting) > 1:
                raise NotFound(f"{wanted!r} fits several adapters", hint="write more of it")
        else:
            fitting = [each for each in listed if each.name == wanted]
        if not fitting:
            names = [each.name for each in listed]
            raise NotFound(
                f"there is no adapter {wanted!r}", hint=did_you_mean(wanted, names, kind="adapters")
            )
        return fitting[0]

    def put(self, adapter: Adapter, folder: Path) -> Adapter:
        """Keep a copy of what is in `folder` under the adapter's digest; gives what is kept.

        Raises:
            OSError: the disk is full; nothing of it is kept then.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = self._folder / adapter.digest.replace(":", "-")
        known = self._read(target)
        if known is not None:
            return known
        part = self._folder / f".{target.name}.{os.getpid()}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            shutil.copytree(folder, part)
            stored = msgspec.structs.replace(
                adapter, path="", created_at=adapter.created_at or self._clock()
            )
            (part / _ABOUT).write_bytes(msgspec.json.encode(stored))
            for file in part.iterdir():
                file.chmod(0o600)
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
            part.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return msgspec.structs.replace(stored, path=str(target))

    def delete(self, digest: str) -> None:
        """Take an adapter away; a runtime that has loaded it goes on."""
        shutil.rmtree(self._folder / digest.replace(":", "-"), ignore_errors=True)

    def _read(self, folder: Path) -> Adapter | None:
        try:
            found = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=Adapter)
        except FileNotFoundError:
            return None
        return msgspec.structs.replace(found, path=str(folder))

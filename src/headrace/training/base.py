"""The base model: which weights it is, and where they lie. Loading them is load.py's."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import ConfigError
from headrace.models.progress import Progress
from headrace.models.reference import FileReference, parse_reference
from headrace.models.store import ModelStore
from headrace.training.errors import TrainingInvalid

__all__ = ["Base", "find_base"]


@dataclass(frozen=True, slots=True)
class Base:
    """Weights on this machine."""

    reference: str
    path: Path
    """A GGUF file, or a folder with safetensors."""
    sha256: str

    @property
    def is_gguf(self) -> bool:
        return self.path.is_file()


def find_base(
    reference: str, store: ModelStore, root: Path, progress: Progress | None = None
) -> Base:
    """The weights, fetched if need be.

    Raises:
        WeightsUnavailable: they cannot be had.
        TrainingInvalid: it is a folder without safetensors, or no GGUF file.
    """
    try:
        parsed = parse_reference(reference)
    except ConfigError as error:
        raise TrainingInvalid(error.message, hint=error.hint) from error
    if isinstance(parsed, FileReference):
        path = (root / Path(parsed.path).expanduser()).resolve()
        if path.is_dir():
            return Base(reference, path, _folder_sha256(path))
    kept = store.fetch(reference, None, progress)
    if kept.path.suffix.lower() != ".gguf":
        raise TrainingInvalid(
            f"{reference}: {kept.path.name} is no GGUF file",
            hint="name the .gguf file, or a folder with config.json and safetensors",
        )
    return Base(reference, kept.path, kept.sha256)


def _folder_sha256(folder: Path) -> str:
    """Over the names and bytes of the model's files, in the order of their names."""
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    if (
        not any(each.suffix == ".safetensors" for each in files)
        or not (folder / "config.json").exists()
    ):
        raise TrainingInvalid(
            f"{folder} has no config.json with safetensors",
            hint="name a folder as transformers' save_pretrained writes it, or a GGUF file",
        )
    found = hashlib.sha256()
    for file in files:
        found.update(file.name.encode() + b"\0")
        with file.open("rb") as handle:
            found.update(hashlib.file_digest(handle, "sha256").digest())
    return found.hexdigest()

"""Which weights the declared models need, and whether they are here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.config.model import ModelConfig
from headrace.models.backend_type import backend_type
from headrace.models.errors import WeightsUnavailable
from headrace.models.reference import FileReference, HubReference, parse_reference
from headrace.models.store import Kept, ModelStore

__all__ = ["DeclaredWeights", "declared_weights", "look_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredWeights:
    """The weights of one model. Remote models have none: `reference` is None."""

    model: str
    backend: str
    reference: str | None
    sha256: str | None
    """What headrace.yaml says it must be; None pins the first one seen."""
    kept: Kept | None
    """The file in the store, if it is there, unchanged, and the one declared."""
    tokenizer: str | None = None
    """A second file that belongs to it, where a backend wants one."""
    tokenizer_sha256: str | None = None
    tokenizer_kept: Kept | None = None

    @property
    def is_here(self) -> bool:
        """Whether nothing of it is left to be fetched."""
        return self.kept is not None and (self.tokenizer is None or self.tokenizer_kept is not None)


def declared_weights(models: Mapping[str, ModelConfig], store: ModelStore) -> list[DeclaredWeights]:
    """One entry per model, in the order in which they are declared; the first is the default.

    A backend whose settings have a field `weights` keeps them in the store.

    Raises:
        ConfigError: an unknown backend, or settings that it does not take.
    """
    found: list[DeclaredWeights] = []
    for name, config in models.items():
        deployment = config.deployments[0]
        kind = backend_type(deployment)
        settings = deployment.settings.convert(kind.Settings)
        pinned: Mapping[str, str] = getattr(kind, "pinned", {})
        reference: str | None = getattr(settings, "weights", None)
        sha256 = getattr(settings, "sha256", None) or pinned.get(reference or "")
        tokenizer: str | None = getattr(settings, "tokenizer", None)
        tokenizer_sha256 = getattr(settings, "tokenizer_sha256", None)
        tokenizer_sha256 = tokenizer_sha256 or pinned.get(tokenizer or "")
        found.append(
            DeclaredWeights(
                model=name,
                backend=deployment.backend,
                reference=reference,
                sha256=sha256,
                kept=_kept(store, reference, sha256),
                tokenizer=tokenizer,
                tokenizer_sha256=tokenizer_sha256,
                tokenizer_kept=_kept(store, tokenizer, tokenizer_sha256),
            )
        )
    return found


def _kept(store: ModelStore, reference: str | None, sha256: str | None) -> Kept | None:
    kept = None if reference is None else store.find(reference)
    if kept is not None and sha256 is not None and kept.sha256 != sha256.lower():
        return None  # another file than the one declared: it would be fetched anew
    return kept


def look_up(reference: str, root: Path) -> None:
    """Ask whether weights could be fetched, without fetching them.

    Raises:
        WeightsUnavailable: they are not there, or nobody answers.
        ConfigError: the reference cannot be read.
    """
    parsed = parse_reference(reference)
    if isinstance(parsed, FileReference):
        path = (root / Path(parsed.path).expanduser()).resolve()
        if not path.is_file():
            raise WeightsUnavailable(
                f"{reference}: there is no file {path}", hint="check the path in `weights:`"
            )
    elif isinstance(parsed, HubReference):
        from headrace.models.fetch import hub

        hub.look_up(parsed)
    else:
        from headrace.models.fetch import package

        package.look_up(parsed)

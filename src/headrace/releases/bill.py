"""The bill of materials of a bundle: its packages, its weights, its knowledge.

Source: CycloneDX 1.6 (ECMA-424), with components of the kinds `library`,
`machine-learning-model` and `data`. It names no time and no machine: the same bundle has the same bill.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headrace import __version__
from headrace.releases.lock import Package, sha256_of
from headrace.releases.manifest import AdapterEntry
from headrace.releases.store import Release

__all__ = ["Weights", "bill_of_materials"]

_NAMESPACE = uuid.UUID("6f1c3f0e-7a55-5d0c-9a53-0d6a4b8f2f11")


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """A file of weights in a bundle."""

    models: list[str]
    """Names of the models that it serves."""
    reference: str
    """As headrace.yaml names it."""
    sha256: str
    file: str
    bytes: int
    task: str
    """What it does, in the words of model hubs."""
    declared: bool = False
    """Whether headrace.yaml, or the backend, says the checksum, so that no pin decides."""


def bill_of_materials(
    release: Release,
    packages: Sequence[Package],
    wheels: Mapping[str, Path],
    weights: Sequence[Weights],
) -> bytes:
    """The bill as JSON.

    Args:
        wheels: by package; of one that is not there no hash is said.
    """
    manifest = release.manifest
    service = f"service@{release.digest}"
    components = [_library(each, wheels.get(each.name)) for each in packages]
    components += [_model(each) for each in weights]
    components += [_adapter(each) for each in manifest.adapters or ()]
    if manifest.knowledge is not None:
        components.append(
            {
                "type": "data",
                "bom-ref": "knowledge",
                "name": "knowledge",
                "version": manifest.knowledge,
                "data": [{"type": "dataset", "name": "the index that answers stand on"}],
            }
        )
    needed = [each.purl for each in packages if each.name == "headrace"]
    needed += [_reference(each) for each in weights]
    needed += [f"adapter@{each.digest}" for each in manifest.adapters or ()]
    needed += ["knowledge"] if manifest.knowledge is not None else []
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, release.digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": service,
                "name": manifest.service,
                "version": release.digest,
            },
            "tools": {
                "components": [{"type": "application", "name": "headrace", "version": __version__}]
            },
        },
        "components": components,
        "dependencies": [
            {"ref": service, "dependsOn": needed},
            *(
                {"ref": each.purl, "dependsOn": [p.purl for p in packages if p.name in each.needs]}
                for each in packages
            ),
        ],
    }
    return msgspec.json.format(msgspec.json.encode(bill))


def _library(package: Package, wheel: Path | None) -> dict[str, object]:
    made: dict[str, object] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
    }
    if package.licence:
        # A name and not an id: what packages say is often no SPDX identifier.
        made["licenses"] = [{"license": {"name": package.licence}}]
    if wheel is not None:
        made["hashes"] = [{"alg": "SHA-256", "content": sha256_of(wheel)}]
    return made


def _model(weights: Weights) -> dict[str, object]:
    return {
        "type": "machine-learning-model",
        "bom-ref": _reference(weights),
        "name": weights.file,
        "version": weights.sha256,
        "description": f"serves {', '.join(weights.models)}; {weights.reference}",
        "hashes": [{"alg": "SHA-256", "content": weights.sha256}],
        "modelCard": {"modelParameters": {"task": weights.task}},
    }


def _adapter(entry: AdapterEntry) -> dict[str, object]:
    about = f"LoRA adapter {entry.name}, trained on {entry.base}"
    return {
        "type": "machine-learning-model",
        "bom-ref": f"adapter@{entry.digest}",
        "name": entry.name,
        "version": entry.digest,
        "description": about,
        "components": [
            {
                "type": "file",
                "name": each.path,
                "hashes": [{"alg": "SHA-256", "content": each.sha256}],
            }
            for each in entry.files
        ],
        "modelCard": {"modelParameters": {"task": "text-generation"}},
    }


def _reference(weights: Weights) -> str:
    return f"weights@sha256:{weights.sha256}"

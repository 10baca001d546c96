"""What the commands share: a policy by its name or file, and the models for costly detectors."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.cli.place import Place

if TYPE_CHECKING:
    from headrace.pipeline.steps.screen.kit import Kit
    from headrace.screening.policy import Policy

__all__ = ["WITH_MODELS", "chosen_policy", "opened_kit"]

WITH_MODELS = "Start the service's models, for costly detectors and rewriting."


def chosen_policy(name: str) -> "Policy":
    """The policy of that name, or of a file (`policies/shop.yaml`).

    Raises:
        ConfigError: the file is wrong: says file, line and field.
        NotFound: there is no such policy.
    """
    from headrace.screening.policy import PolicyLibrary

    root = Place.here().root
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return PolicyLibrary.with_file(root, os.environ, path).get(path.stem)
    return PolicyLibrary.load(root, os.environ).get(name)


@asynccontextmanager
async def opened_kit(*, with_models: bool) -> "AsyncIterator[Kit]":
    """What detectors may use: nothing, or the models of this folder's service.

    Raises:
        HeadraceError: a model cannot be fetched or started.
    """
    from headrace.pipeline.steps.screen.kit import Kit

    if not with_models:
        yield Kit()
        return
    from headrace.cli.progress import FetchProgress
    from headrace.config.load import load_service
    from headrace.models.box import ModelBox
    from headrace.models.builder import EMBEDDING
    from headrace.models.embedder import ModelEmbedder

    place = Place.here().made()
    box = ModelBox.build(load_service(place.root, os.environ), place.home, os.environ)
    try:
        with FetchProgress() as progress:
            await box.start(progress.report)
            embedder = ModelEmbedder(box.get(EMBEDDING))
            await embedder.load(progress.report)
        yield Kit(models=box, embedder=embedder)
    finally:
        await box.stop()

"""Who works on fine-tuning jobs in this process."""

from collections.abc import Mapping

from headrace.pipeline.service import Platform
from headrace.training.trainer import Trainer
from headrace.workflows.tuning.runner import TuningRunner
from headrace.workflows.tuning.settings import TuningSettings, read_tuning
from headrace.workflows.tuning.store import TuningStore

__all__ = ["tuning_runner"]


def tuning_runner(platform: Platform, environ: Mapping[str, str]) -> TuningRunner:
    """A runner for the jobs of the platform's home."""
    root = platform.service.config.root

    def settings() -> TuningSettings:
        return read_tuning(platform.service.config.fine_tuning)

    return TuningRunner(
        TuningStore(platform.database),
        platform.files,
        Trainer(platform.home, root=root, environ=environ),
        platform.home,
        settings,
        is_served=lambda name: name in platform.service.models.names(),
    )

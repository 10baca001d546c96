"""`headrace schema`: the format of a file as JSON Schema, for editors and checks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from headrace.cli.command import Command, json_option
from headrace.cli.terminal import print_json

if TYPE_CHECKING:
    from headrace.config.schema import Schema

__all__ = ["KINDS", "schema", "schema_of", "service_sections"]

KINDS = ("service", "prompt", "policy", "catalogue", "suite", "workflow")


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(KINDS), default="service")
@json_option
def schema(kind: str, as_json: bool) -> None:
    """Print the JSON Schema of a file format.

    \b
    service    headrace.yaml, with the settings of every installed step and backend (the default)
    prompt     prompts/*.yaml
    policy     policies/*.yaml
    catalogue  catalogue.yaml
    suite      evals/*.yaml
    workflow   workflows/*.yaml, with the settings of every installed operation
    """
    del as_json  # a schema is JSON with and without it
    print_json(schema_of(kind))


def schema_of(kind: str) -> "Schema":
    """The schema of one of `KINDS`, from the classes that read such files."""
    from headrace.config.schema import service_schema, struct_schema

    if kind == "prompt":
        from headrace.prompts.file import PromptFile

        return struct_schema(PromptFile, "prompts/*.yaml")
    if kind == "policy":
        from headrace.screening.policy import PolicyFile

        return struct_schema(PolicyFile, "policies/*.yaml")
    if kind == "catalogue":
        from headrace.models.catalogue.entry import CatalogueFile

        return struct_schema(CatalogueFile, "catalogue.yaml")
    if kind == "suite":
        from headrace.evaluation.suite import SuiteFile

        return struct_schema(SuiteFile, "evals/*.yaml")
    if kind == "workflow":
        from headrace.workflows.schema import workflow_schema

        return workflow_schema()
    from headrace.models.backend_type import backend_types
    from headrace.pipeline.compile import step_types

    steps = {name: step.Settings for name, (step, _) in step_types().items()}
    backends = {name: backend.Settings for name, backend in backend_types().items()}
    return service_schema(steps, backends, service_sections())


def service_sections() -> Mapping[str, object]:
    """The types of the parts of headrace.yaml that other rooms than config/ read."""
    from headrace.access.limits.config import LimitsSection
    from headrace.knowledge.entities.settings import EntitiesSection
    from headrace.knowledge.settings import KnowledgeSection
    from headrace.models.balance.settings import BalanceSettings
    from headrace.models.cache.settings import CacheSettings
    from headrace.pipeline.tools.settings import ToolsSection
    from headrace.releases.settings import ReleaseSettings
    from headrace.workflows.tuning.settings import TuningSettings

    return {
        "balance": BalanceSettings,
        "cache": CacheSettings,
        "entities": EntitiesSection,
        "fine_tuning": TuningSettings,
        "knowledge": KnowledgeSection,
        "limits": LimitsSection,
        "tools": ToolsSection,
        "releases": ReleaseSettings,
    }

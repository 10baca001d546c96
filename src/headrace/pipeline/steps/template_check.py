"""What can be wrong with the settings of the step `template`, found when the service loads."""

from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from headrace.config.node import shown_path
from headrace.errors import ConfigError, InvalidRequest, did_you_mean
from headrace.models.box import ModelBox
from headrace.pipeline.needs import required
from headrace.prompts.file import VariableValue
from headrace.prompts.library import PromptLibrary

__all__ = ["check_requirements", "check_tools", "check_variables"]


def check_requirements(prompts: PromptLibrary, models: ModelBox) -> None:
    """Raises ConfigError for a task that no catalogue knows."""
    for template in prompts.templates():
        try:
            models.missed(required(template.file.requires))
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"the prompt template {template.name!r}: requires.tasks: {error}",
                hint="`headrace models list` shows what models are made for",
            ) from None


def check_tools(prompts: PromptLibrary, known: Collection[str]) -> None:
    """Raises ConfigError for a template of the service's own that allows a tool there is not.

    A released version may be older than the tools are: it has those that are there.
    """
    for name in prompts.names():
        path = prompts.path(name)
        for tool in prompts.get(name).file.tools or () if path is not None else ():
            if tool not in known:
                assert path is not None
                raise ConfigError(
                    f"{shown_path(path)}:{_line_of(path, 'tools:')}: tools: no tool is called "
                    f"{tool!r}",
                    hint=did_you_mean(tool, known, kind="tools"),
                )


def _line_of(path: Path, field: str) -> int:
    """Where a field of a template stands: the library keeps no places."""
    lines = path.read_text("utf-8").splitlines()
    return next((at for at, line in enumerate(lines, 1) if line.startswith(field)), 1)


def check_variables(
    values: Mapping[str, VariableValue], default: str, prompts: PromptLibrary
) -> None:
    """Every value must be declared by some template, and be right for each of the service's own.

    Built-in templates may mean another thing by the name; there the value does not count.
    """
    own = [name for name in prompts.names() if prompts.path(name) or name == default]
    for name, value in values.items():
        known = {each for one in prompts.templates() for each in one.variables.declared}
        if name not in known:
            raise InvalidRequest(
                f"variables: no prompt template has a variable {name!r}",
                hint=did_you_mean(name, known, kind="variables"),
            )
        for template in map(prompts.get, own):
            variable = template.variables.declared.get(name)
            if variable is not None and (wrong := variable.problem(value)):
                raise InvalidRequest(
                    f"variables: {name!r} {wrong}", hint=f"the template {template.name!r} uses it"
                )

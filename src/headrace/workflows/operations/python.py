"""`python`: a function of your own, without a package for it."""

import importlib
import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from headrace.workflows.artifact import digest_of
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Python"]


class PythonSettings(Settings, frozen=True):
    """A function."""

    function: Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """`module:function`; the module may lie in the service's folder."""
    arguments: dict[str, object] = msgspec.field(default_factory=dict)
    """Handed to it by name."""
    context: bool = False
    """Hand it the step's `Context`, too, as `context`."""


class Python(Operation):
    """Calls a function in a process of its own; the mapping that it gives is the step's values."""

    Settings = PythonSettings
    runs_apart: ClassVar[bool] = True

    def outside(self, settings: msgspec.Struct, context: Context) -> str:
        """The module's own file, where it is the service's."""
        assert isinstance(settings, PythonSettings)
        path = context.root / (settings.function.partition(":")[0].replace(".", "/") + ".py")
        return digest_of(path)[0] if path.is_file() else ""

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, PythonSettings)
        module_name, _, name = settings.function.partition(":")
        sys.path.insert(0, str(context.root))
        try:
            function = getattr(importlib.import_module(module_name), name)
        except (ImportError, AttributeError) as error:
            raise StepFailed(f"{settings.function}: {error}") from error
        arguments = dict(settings.arguments)
        if settings.context:
            arguments["context"] = context
        found = function(**arguments)
        if found is None:
            return {}
        if not isinstance(found, Mapping):
            raise StepFailed(
                f"{settings.function} gave a {type(found).__name__}", hint="give a mapping, or None"
            )
        return found

"""A function of the user's own, in a module of the service's folder."""

import importlib.util
import sys
from pathlib import Path

from headrace.evaluation.scorer import Scorer, Settings, Tools, only, threaded

__all__ = ["function"]


def function(settings: Settings, tools: Tools) -> Scorer:
    """`call: checks.polite.score` is the function `score` in checks/polite.py."""
    only(settings, "call")
    call = settings.get("call")
    if not isinstance(call, str) or not all(part.isidentifier() for part in call.split(".")):
        raise ValueError("`call` is a dotted path: `checks.polite` is `polite` in checks.py")
    module, _, name = call.rpartition(".")
    path = tools.root.joinpath(*module.split(".")).with_suffix(".py") if module else None
    if path is None or not path.resolve().is_relative_to(tools.root.resolve()):
        raise ValueError(f"`call` is {call!r}; it lacks the module, as in `checks.polite`")
    found = getattr(_module(path, module), name, None)
    if not callable(found):
        raise ValueError(f"{path.name} has no function {name!r}")  # noqa: TRY004  # the suite is wrong
    return threaded(found)


def _module(path: Path, name: str) -> object:
    spec = importlib.util.spec_from_file_location(f"_headrace_scorers.{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"there is no file {path.name} in the service's folder")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses in it look themselves up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # noqa: BLE001 - whatever a user writes
        raise ValueError(f"{path.name} cannot be loaded: {type(error).__name__}: {error}") from None
    return module

"""`candidate`: the service's files with some settings changed, in a folder of their own."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import yaml
from msgspec import Meta

from headrace.config.watch import ServiceFiles
from headrace.workflows.errors import StepFailed
from headrace.workflows.operation import Context, Operation, Settings

__all__ = ["Candidate"]


class CandidateSettings(Settings, frozen=True):
    """What differs."""

    change: Annotated[dict[str, object], Meta(min_length=1)]
    """Values of headrace.yaml by their place: `models.tuned.base`, `pipeline.generate.model`."""


class Candidate(Operation):
    """Copies the service's files, with settings of headrace.yaml changed; the folder stays as it is."""

    Settings = CandidateSettings
    returns: ClassVar[tuple[str, ...]] = ()
    writes: ClassVar[Mapping[str, str]] = {"folder": "service"}

    def outside(self, settings: msgspec.Struct, context: Context) -> str:
        return "".join(f"{path}={path.stat().st_mtime_ns};" for path in _files(context.root))

    def run(self, settings: msgspec.Struct, context: Context) -> Mapping[str, object]:
        assert isinstance(settings, CandidateSettings)
        folder = context.folder / "service"
        for path in _files(context.root):
            there = folder / path.relative_to(context.root)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, there)
        file = folder / "headrace.yaml"
        if not file.exists():
            raise StepFailed(
                f"{context.root}: there is no headrace.yaml", hint="`headrace init` writes one"
            )
        whole = yaml.safe_load(file.read_text("utf-8")) or {}
        for place, value in settings.change.items():
            put(whole, place, value)
        file.write_text(yaml.safe_dump(whole, allow_unicode=True, sort_keys=False), "utf-8")
        return {}


def _files(root: Path) -> list[Path]:
    found = {path for path in ServiceFiles(root).paths() if path.is_file()}
    return sorted(path for path in found if path.resolve().is_relative_to(root.resolve()))


def put(whole: dict[str, object], place: str, value: object) -> None:
    """Set a value deep inside; what is missing on the way is made. A step goes by its name.

    Raises:
        StepFailed: something else stands in the way.
    """
    at: object = whole
    *way, last = place.split(".")
    for key in way:
        at = _inside(at, key, place)
    if isinstance(at, list):
        for i, each in enumerate(at):
            if each == last or (isinstance(each, dict) and last in each):
                at[i] = {last: value}
                return
        raise StepFailed(f"{place}: there is no step {last!r}")
    if not isinstance(at, dict):
        raise StepFailed(f"{place}: a {type(at).__name__} is in the way")
    at[last] = value


def _inside(at: object, key: str, place: str) -> object:
    if isinstance(at, dict):
        if at.get(key) is None:
            at[key] = {}
        return at[key]
    if isinstance(at, list):
        for i, each in enumerate(at):
            if each == key:
                at[i] = {key: {}}
                return at[i][key]
            if isinstance(each, dict) and key in each:
                each[key] = {} if each[key] is None else each[key]
                return each[key]
        if key.isdigit() and int(key) < len(at):
            return at[int(key)]
    raise StepFailed(f"{place}: there is no {key!r}")

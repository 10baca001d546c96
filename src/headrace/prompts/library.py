"""The prompt templates of a service: its own files over the built-in ones."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from headrace.config.node import load_yaml, parse_yaml, shown_path
from headrace.errors import ConfigError, NotFound, did_you_mean
from headrace.prompts.reader import read_template
from headrace.prompts.template import PromptTemplate

__all__ = ["BUILTIN", "PromptLibrary", "builtin_source", "builtin_templates"]

BUILTIN = "builtin/"
"""In front of a name: Headrace's own template, even where a file of that name stands over it."""


class PromptLibrary:
    """All templates that a request may choose. Immutable; edited files make a new one."""

    def __init__(
        self,
        templates: Mapping[str, PromptTemplate],
        *,
        builtin: Mapping[str, PromptTemplate] | None = None,
        paths: Mapping[str, Path] | None = None,
        tagged: Mapping[str, PromptTemplate] | None = None,
    ) -> None:
        """
        Args:
            builtin: Headrace's own.
            paths: where the service's own come from.
            tagged: released versions, by `NAME@TAG`.
        """
        self._builtin = dict(builtin or {})
        self._templates = dict(sorted({**self._builtin, **templates}.items()))
        self._paths = dict(paths or {})
        self._tagged = dict(tagged or {})

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str]) -> "PromptLibrary":
        """Read `root/prompts/*.yaml` and the built-in templates; a file wins over a built-in.

        Raises:
            ConfigError: says file, line and field; or two files with templates of one name.
        """
        templates: dict[str, PromptTemplate] = {}
        paths: dict[str, Path] = {}
        for path in sorted((root / "prompts").glob("*.yaml")):
            node = load_yaml(path, environ)
            template = read_template(node, path.stem, root)
            name = template.name
            if name in paths:
                first = shown_path(paths[name])
                raise node.error(
                    f"the template {name!r} is in {first} already", "name", hint="rename one"
                )
            templates[name], paths[name] = template, path
        _refuse_look_alikes(paths)
        return cls(templates, builtin=builtin_templates(), paths=paths)

    def with_tagged(self, tagged: Mapping[str, PromptTemplate]) -> "PromptLibrary":
        """The same library with released versions, by `NAME@TAG`."""
        own = {name: self._templates[name] for name in self._paths}
        return PromptLibrary(own, builtin=self._builtin, paths=self._paths, tagged=tagged)

    def get(self, name: str) -> PromptTemplate:
        """The template of that name; `builtin/NAME` and `NAME@TAG` name one exactly.

        Raises:
            NotFound: with the nearest name there is.
        """
        if name.startswith(BUILTIN):
            template = self._builtin.get(name.removeprefix(BUILTIN))
        elif "@" in name:
            template = self._tagged.get(name)
        else:
            template = self._templates.get(name)
        if template is None:
            known = [*self._templates, *self._tagged, *(BUILTIN + each for each in self._builtin)]
            if "@" in name:
                known = [*self._tagged] or [name.partition("@")[0]]
            raise NotFound(
                f"there is no prompt template {name!r}",
                hint=did_you_mean(name, known, kind="templates"),
                param="template",
            )
        return template

    def names(self) -> Sequence[str]:
        """All templates, sorted; built-in ones under their plain name."""
        return tuple(self._templates)

    def path(self, name: str) -> Path | None:
        """The file that a template comes from; None for a built-in one."""
        return self._paths.get(name)

    def templates(self) -> Sequence[PromptTemplate]:
        """Every template there is, hidden built-in ones and tagged versions included."""
        found = [*self._templates.values(), *self._builtin.values(), *self._tagged.values()]
        return list({(each.name, each.digest): each for each in found}.values())

    def digests(self) -> dict[str, str]:
        """The digest of every template, for the release digest."""
        shown = {**self._templates, **self._tagged}
        return {name: template.digest for name, template in shown.items()}


@cache
def builtin_templates() -> Mapping[str, PromptTemplate]:
    """Headrace's own templates, by name. They are part of the package, so they are read once."""
    found: dict[str, PromptTemplate] = {}
    for entry in files("headrace.prompts").joinpath("builtin").iterdir():
        name = entry.name.removesuffix(".yaml")
        text = entry.read_text(encoding="utf-8")
        node = parse_yaml(text, f"built-in prompt {name}", {}, root=Path())
        found[name] = read_template(node, name, Path(), trusted=True)
    return found


def builtin_source(name: str) -> str:
    """A built-in template's file as it was written, with its comments.

    Raises:
        NotFound: there is none of that name.
    """
    entries = {each.name: each for each in files("headrace.prompts").joinpath("builtin").iterdir()}
    entry = entries.get(f"{name}.yaml")
    if entry is None:
        known = [each.removesuffix(".yaml") for each in entries]
        raise NotFound(
            f"there is no built-in template {name!r}",
            hint=did_you_mean(name, known, kind="templates"),
        )
    return entry.read_text(encoding="utf-8")


def _refuse_look_alikes(paths: Mapping[str, Path]) -> None:
    """Names that differ in case only are one file on some disks, and one name to most readers."""
    seen: dict[str, str] = {}
    for name, path in paths.items():
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ConfigError(
                f"{shown_path(path)}:1: name: the template {name!r} differs from {other!r} "
                f"({shown_path(paths[other])}) in case only",
                hint="rename one",
            )

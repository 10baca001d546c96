"""The prompt templates of a service: its own files over the built-in ones."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from headrace.config.node import Node, load_yaml, parse_yaml
from headrace.errors import NotFound, did_you_mean
from headrace.prompts.reader import read_template
from headrace.prompts.template import PromptTemplate

__all__ = ["PromptLibrary"]


class PromptLibrary:
    """All templates that a request may choose. Immutable; edited files make a new one."""

    def __init__(self, templates: Mapping[str, PromptTemplate]) -> None:
        self._templates = dict(sorted(templates.items()))

    @classmethod
    def load(cls, root: Path, environ: Mapping[str, str]) -> "PromptLibrary":
        """Read `root/prompts/*.yaml` and the built-in templates; a file wins over a built-in.

        Raises:
            ConfigError: says file, line and field.
        """
        nodes: dict[str, Node] = {}
        for entry in files("headrace.prompts").joinpath("builtin").iterdir():
            name = entry.name.removesuffix(".yaml")
            text = entry.read_text(encoding="utf-8")
            nodes[name] = parse_yaml(text, f"built-in prompt {name}", {}, root=root)
        for path in sorted((root / "prompts").glob("*.yaml")):
            nodes[path.stem] = load_yaml(path, environ)
        return cls({name: read_template(node, name) for name, node in nodes.items()})

    def get(self, name: str) -> PromptTemplate:
        """The template of that name.

        Raises:
            NotFound: with the nearest name there is.
        """
        template = self._templates.get(name)
        if template is None:
            raise NotFound(
                f"there is no prompt template {name!r}",
                hint=did_you_mean(name, self._templates, kind="templates"),
                param="template",
            )
        return template

    def names(self) -> Sequence[str]:
        """All templates, sorted."""
        return tuple(self._templates)

    def digests(self) -> dict[str, str]:
        """The digest of every template, for the release digest."""
        return {name: template.digest for name, template in self._templates.items()}

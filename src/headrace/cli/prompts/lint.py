"""`headrace prompts lint`: what is allowed and probably a mistake."""

import os
from pathlib import Path

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.suggest import complete_prompts
from headrace.cli.terminal import print_json, printable
from headrace.config.node import shown_path
from headrace.errors import ConfigError, NotFound, did_you_mean
from headrace.pipeline.steps.normalize.language import identify
from headrace.prompts.library import PromptLibrary, builtin_templates
from headrace.prompts.lint import Complaint, lint_file
from headrace.prompts.lint import lint as lint_template

__all__ = ["lint"]

FOUND = 1


@click.command(cls=Command)
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_prompts)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too, not for errors only.")
@click.option("--builtin", is_flag=True, help="Look at the built-in templates instead.")
@json_option
@click.pass_context
def lint(
    context: click.Context, names: tuple[str, ...], strict: bool, builtin: bool, as_json: bool
) -> None:
    """Look for mistakes in prompts/*.yaml, or in those named: all of them, not just the first.

    Exits with 1 if a file cannot be used. Warnings: unused variables, variables without a value,
    contradictory or long examples, mixed languages, text of strangers among the instructions,
    no tests, and others (docs/prompt-library.md).
    """
    found = _builtin(names) if builtin else _own(names)
    complaints = [(where, each) for where, list_ in found.items() for each in list_]
    if as_json:
        print_json(
            [
                {
                    "file": where,
                    "rule": each.rule,
                    "level": each.level,
                    "where": each.where,
                    "message": each.message,
                }
                for where, each in complaints
            ]
        )
    else:
        for where, each in complaints:
            at = f"{where}: {each.where}: " if each.where else ""
            click.echo(printable(f"{each.level}: {at}{each.message} [{each.rule}]"))
        errors = sum(each.level == "error" for _, each in complaints)
        click.echo(
            f"{len(found)} templates, {errors} errors, {len(complaints) - errors} warnings",
            err=True,
        )
    failing = [each for _, each in complaints if strict or each.level == "error"]
    context.exit(FOUND if failing else 0)


def _own(names: tuple[str, ...]) -> dict[str, list[Complaint]]:
    root = Place.here().root
    paths = {path.stem: path for path in sorted((root / "prompts").glob("*.yaml"))}
    found = {
        shown_path(paths[name]): lint_file(paths[name], root, os.environ, identify)
        for name in _chosen(names, list(paths))
    }
    if not names:
        for path in sorted((root / "prompts").glob("*.yml")):
            message = "a file .yml is not read: rename it to .yaml"
            found[shown_path(path)] = [Complaint("not-read", "warning", "", _at(path, message))]
        if not any(each.level == "error" for list_ in found.values() for each in list_):
            found |= _together(root)
    return found


def _together(root: Path) -> dict[str, list[Complaint]]:
    """What is wrong only between files: two templates of one name."""
    try:
        PromptLibrary.load(root, os.environ)
    except ConfigError as error:
        return {"prompts": [Complaint("duplicate-name", "error", "", error.message)]}
    return {}


def _at(path: Path, message: str) -> str:
    return f"{shown_path(path)}: {message}"


def _builtin(names: tuple[str, ...]) -> dict[str, list[Complaint]]:
    templates = builtin_templates()
    return {
        f"builtin/{name}": lint_template(templates[name], identify)
        for name in _chosen(names, sorted(templates))
    }


def _chosen(names: tuple[str, ...], known: list[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise NotFound(
                f"there is no file prompts/{name}.yaml",
                hint=did_you_mean(name, known, kind="templates"),
            )
    return list(names) or known

"""`headrace prompts new`: a template to start from."""

import click

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.prompts.desk import Desk
from headrace.cli.suggest import complete_prompts
from headrace.cli.terminal import print_json
from headrace.config.node import shown_path
from headrace.errors import ConfigError, InvalidRequest
from headrace.prompts.library import builtin_source
from headrace.prompts.reader import is_template_name
from headrace.prompts.source import source_of

__all__ = ["new"]

_START = """\
# yaml-language-server: $schema=../schema/prompt.json
description: What it is for, in a sentence.
scenario: {task: chat, languages: [en, zh], audience: anybody}
messages:
  system:
    default: You are a helpful assistant. Answer briefly.
    zh: 你是一个乐于助人的助手。请简短回答。
tests:
  - name: It answers a plain question
    user: What is the capital of France?
    language: en
    expect: {contains: [Paris]}
  - name: 回答简单的问题
    user: 法国的首都是哪里？
    language: zh
    requires: {position: light}
    expect: {contains: [巴黎]}
"""


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--from",
    "source",
    metavar="NAME[@VERSION]",
    shell_complete=complete_prompts,
    help="Copy this template, such as builtin/summarise.",
)
@json_option
def new(name: str, source: str | None, as_json: bool) -> None:
    """Write prompts/NAME.yaml to start from. Nothing is overwritten."""
    if not is_template_name(name):
        raise InvalidRequest(
            f"{name!r} cannot name a template", hint="use letters, digits, `_`, `-` and `.`"
        )
    text = _START if source is None else _copied(source)
    path = Place.here().root / "prompts" / f"{name}.yaml"
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{shown_path(path)} is there already", hint="choose another name, or edit it"
        ) from None
    except OSError as error:
        raise ConfigError(f"{shown_path(path)} cannot be written: {error.strerror}") from error
    if as_json:
        print_json({"written": shown_path(path), "from": source})
    else:
        click.echo(f"wrote {shown_path(path)}; try it: headrace prompts test {name}")


def _copied(source: str) -> str:
    """The text of the template, with its comments where it still has them."""
    with Desk.open() as desk:
        template = desk.template(source)
        path = desk.library.path(template.name)
    if "@" in source:
        return source_of(template.file)
    if path is not None and not source.startswith("builtin/"):
        return path.read_text("utf-8")
    return builtin_source(template.name)

"""`headrace completion`: scripts that let the shell complete commands, options and values."""

import click
from click.shell_completion import get_completion_class

from headrace.cli.command import Command

__all__ = ["completion"]


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for your shell.

    \b
    bash:  echo 'eval "$(headrace completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(headrace completion zsh)"' >> ~/.zshrc
    fish:  headrace completion fish > ~/.config/fish/completions/headrace.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, "click knows every shell of the list"
    root = context.find_root().command
    click.echo(kind(root, {}, "headrace", "_HEADRACE_COMPLETE").source())

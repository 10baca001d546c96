"""Shells that complete a line as they do when somebody presses the tab key."""

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cli.pseudo_terminal import PseudoTerminal

__all__ = ["SHELLS", "Typed", "complete_in_bash", "complete_in_fish", "complete_in_zsh"]


@dataclass(frozen=True)
class Typed:
    """A line up to the cursor, in a shell that knows headrace's script."""

    words: Sequence[str]
    """The last one is being completed; it may be empty."""
    script: str
    """What `headrace completion SHELL` printed."""
    folder: Path
    """For the shell's own files."""
    environ: Mapping[str, str]


def complete_in_bash(typed: Typed) -> list[str]:
    """What bash would offer: its completion function, called as bash calls it."""
    words = " ".join(shlex.quote(word) for word in typed.words)
    script = f"""
{typed.script}
COMP_WORDS=({words}); COMP_CWORD={len(typed.words) - 1}
_headrace_completion headrace
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    return _run(["bash", "--norc", "-c", script], typed)


def complete_in_fish(typed: Typed) -> list[str]:
    """What fish offers, asked by its own `complete --do-complete`."""
    script = f"{typed.script}\ncomplete --do-complete {shlex.quote(' '.join(typed.words))}"
    environ = {**typed.environ, "HOME": str(typed.folder)}
    lines = _run(["fish", "--no-config", "-c", script], typed, environ)
    return [line.partition("\t")[0] for line in lines]


# Completion only works in zsh's line editor, which only works on a terminal. What is added to the
# matches is noted on its way, because what is drawn depends on the terminal; calls that only sort
# matches (-O, -A, -D) add none.
ZSHRC = """
PS1='ready> '
autoload -Uz compinit && compinit -u -D
{script}
typeset -ga matches
compadd() {{
    if [[ ${{@[1,(i)(-|--)]}} != *-(O|A|D)\\ * ]]; then
        local -a found
        builtin compadd -A found "$@"
        matches+=("${{found[@]}}")
    fi
    builtin compadd "$@"
}}
tell() {{ print -r -- "<matches ${{(j: :)matches}}>" }}
zle -N tell
bindkey '^T' tell
"""


def complete_in_zsh(typed: Typed) -> list[str]:
    """What zsh offers at a real prompt when the tab key is pressed."""
    (typed.folder / ".zshrc").write_text(ZSHRC.format(script=typed.script), encoding="utf-8")
    environ = {**typed.environ, "ZDOTDIR": str(typed.folder), "TERM": "dumb"}
    with PseudoTerminal(["-d", "-i"], Path.cwd(), environ, program="zsh") as terminal:
        terminal.wait_for("ready> ")
        terminal.type(" ".join(typed.words) + "\t\x14")
        terminal.wait_for("<matches ")
        return terminal.wait_for(">").removesuffix(">").split()


SHELLS = {"bash": complete_in_bash, "fish": complete_in_fish, "zsh": complete_in_zsh}


def _run(command: list[str], typed: Typed, environ: Mapping[str, str] | None = None) -> list[str]:
    done = subprocess.run(
        command,
        env={**os.environ, **(environ or typed.environ)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]

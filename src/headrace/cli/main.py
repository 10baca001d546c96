"""`headrace`: every command by name, and what a failure looks like.

Only names and first lines stand here; a command's module is imported when it is called.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from headrace import __version__
from headrace.cli.command import Options, debug_option
from headrace.cli.failure import report
from headrace.cli.lazy import Lazy, LazyGroup

__all__ = ["COMMANDS", "headrace", "main", "run"]

INTERRUPTED = 128 + 2
"""What shells say of a program that Ctrl-C ended."""
PIPE_CLOSED = 1
"""As click does when it notices first."""

COMMANDS: dict[str, Lazy] = {
    "init": Lazy(
        "headrace.cli.init", "init", "Write a commented service to start from, here or in DIR."
    ),
    "up": Lazy("headrace.cli.up", "up", "Run the service of this folder until Ctrl-C or SIGTERM."),
    "chat": Lazy(
        "headrace.cli.chat.command",
        "chat",
        "Ask QUESTION and print the answer as it comes, or talk when there is none.",
    ),
    "keys": Lazy("headrace.cli.keys", "keys", "Make, list and revoke API keys."),
    "trace": Lazy(
        "headrace.cli.trace",
        "trace",
        "See what happened in each turn: steps, timings, tokens, findings.",
    ),
    "limits": Lazy(
        "headrace.cli.limits",
        "limits",
        "See how much of each limit is used: by key, team and model.",
    ),
    "cache": Lazy(
        "headrace.cli.cache",
        "cache",
        "See what the answer cache does, empty it, and find a threshold for it.",
    ),
    "models": Lazy(
        "headrace.cli.models.group",
        "models",
        "List, compare, choose and test models, and fetch their weights.",
    ),
    "batch": Lazy(
        "headrace.cli.batch",
        "batch",
        "Answer a file of requests, each once, in order, whatever is killed meanwhile.",
    ),
    "workflow": Lazy(
        "headrace.cli.workflow.group",
        "workflow",
        "Run graphs of steps that survive any crash: train, evaluate, release, clean up.",
    ),
    "eval": Lazy(
        "headrace.cli.evaluate",
        "evaluate",
        "Ask a suite of cases, score the answers, and compare releases.",
    ),
    "ci": Lazy(
        "headrace.cli.ci.command",
        "ci",
        "Say what a commit changes in the answers, and whether it may.",
    ),
    "data": Lazy(
        "headrace.cli.data.group",
        "data",
        "Keep examples to train on and to measure with, in versions that never change.",
    ),
    "train": Lazy(
        "headrace.cli.train.group",
        "train",
        "Teach a model from examples, and get an adapter that the service can put on it.",
    ),
    "prompts": Lazy(
        "headrace.cli.prompts.group",
        "prompts",
        "List, compare, render, check, test, improve and release prompt templates.",
    ),
    "knowledge": Lazy(
        "headrace.cli.knowledge",
        "knowledge",
        "Fill, search and keep up to date what answers stand on.",
    ),
    "entities": Lazy(
        "headrace.cli.entities",
        "entities",
        "See which names the service knows, and what it finds in a text.",
    ),
    "screen": Lazy(
        "headrace.cli.screen.group",
        "screen",
        "See, test and rehearse what the service's policies do, and review what they held back.",
    ),
    "consent": Lazy(
        "headrace.cli.consent",
        "consent",
        "Note what people allow their data to be used for, and take it back.",
    ),
    "subject": Lazy(
        "headrace.cli.subject", "subject", "See what is kept of one person, and erase it."
    ),
    "audit": Lazy(
        "headrace.cli.audit", "audit", "See who changed what, when and why, and prove that log."
    ),
    "release": Lazy(
        "headrace.cli.release.group",
        "release",
        "Make everything that decides an answer one bundle: compare, verify and carry it.",
    ),
    "deploy": Lazy(
        "headrace.cli.release.deploy",
        "deploy",
        "Serve RELEASE from now on; `files` goes back to serving the folder's files.",
    ),
    "rollback": Lazy(
        "headrace.cli.release.deploy",
        "rollback",
        "Serve again what was served before the present release.",
    ),
    "schema": Lazy("headrace.cli.schema", "schema", "Print the JSON Schema of a file format."),
    "doctor": Lazy(
        "headrace.cli.doctor",
        "doctor",
        "Check this machine and this folder's service; say what to mend.",
    ),
    "completion": Lazy(
        "headrace.cli.completion", "completion", "Print a completion script for your shell."
    ),
}


@click.command(cls=LazyGroup, lazy=COMMANDS)
@click.version_option(__version__, message="headrace %(version)s")
def headrace() -> None:
    """Everything between a prompt and a reliable answer, on your own machine.

    A service is a folder with a headrace.yaml; commands act on the folder they are called in.
    Its state (keys, traces, weights) is in .headrace there; HEADRACE_HOME moves it.
    """


headrace.params = [
    debug_option(hidden=False) if param.name == "debug" else param for param in headrace.params
]


def main() -> NoReturn:
    """The entry point."""
    sys.exit(run(sys.argv[1:]))


def run(args: Sequence[str]) -> int:
    """Run one command line; gives the exit status: 0, 1 for a failure, 2 for wrong usage."""
    options = Options.of(args)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a letter shows a question mark; no answer is lost over it.
        sys.stdout.reconfigure(errors="replace")
    try:
        status = headrace.main(list(args), prog_name="headrace", standalone_mode=False, obj=options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has seen enough (`| head`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except click.Abort:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the edge: nothing above would report it
        return report(error, options)
    return status if isinstance(status, int) else 0

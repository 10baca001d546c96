"""A conversation at the prompt, and one question with its answer."""

import sys
from contextlib import closing
from dataclasses import replace

import click

from headrace.cli.chat.entry import read_question
from headrace.cli.chat.last_trace import show_last_trace
from headrace.cli.chat.partner import Partner, Question, Reply
from headrace.cli.command import Options
from headrace.cli.failure import report
from headrace.cli.place import Place
from headrace.cli.terminal import printable
from headrace.errors import HeadraceError
from headrace.ids import new_id

__all__ = ["ask", "ask_quietly", "talk"]

HELP = '''\
/new     begin a new conversation
/trace   see what happened in the last turn
/help    this page
Ctrl-C stops an answer; Ctrl-D ends.
A line that ends with \\ goes on in the next; """ begins and ends a block of lines.'''


def ask(partner: Partner, question: Question, reply: Reply) -> None:
    """Print the answer as it comes."""
    at_line_start = True
    try:
        with closing(partner.answer(question, reply)) as pieces:
            for piece in pieces:
                sys.stdout.write(printable(piece, lines=True))
                sys.stdout.flush()
                at_line_start = piece.endswith("\n")
    finally:
        if not at_line_start:
            click.echo()


def ask_quietly(partner: Partner, question: Question, reply: Reply) -> None:
    """Wait for the whole answer."""
    with closing(partner.answer(question, reply)) as pieces:
        for _ in pieces:
            pass


def talk(partner: Partner, question: Question, place: Place, options: Options) -> None:
    """Ask and answer until Ctrl-D. What goes wrong is said, and the conversation goes on.

    Args:
        question: how to ask; its text is what is typed.
    """
    question = replace(question, conversation=question.conversation or new_id())
    where = partner.url or "this folder's service, in this process"
    click.echo(f"{where}; /help for help, Ctrl-D ends", err=True)
    last = Reply()
    while True:
        try:
            text = read_question()
        except KeyboardInterrupt:
            click.echo("\n(Ctrl-D ends)", err=True)
            continue
        except EOFError:
            click.echo(err=True)
            return
        try:
            if text.startswith("/"):
                question = _command(text, question, last, partner, place)
            elif text:
                last = Reply()
                ask(partner, replace(question, text=text), last)
        except KeyboardInterrupt:
            click.echo("(stopped)", err=True)
        except HeadraceError as error:
            report(error, options)


def _command(
    text: str, question: Question, last: Reply, partner: Partner, place: Place
) -> Question:
    """Do what the command says; gives how to ask from now on."""
    match text.strip():
        case "/new":
            click.echo("a new conversation", err=True)
            return replace(question, conversation=new_id())
        case "/trace":
            show_last_trace(last, partner, place)
        case "/help":
            click.echo(HELP, err=True)
        case unknown:
            click.echo(f"there is no command {printable(unknown.split()[0])}\n{HELP}", err=True)
    return question

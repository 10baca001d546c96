"""`headrace chat`: who is asked, what, and in which form the answer comes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from headrace.access.keys import ADMIN_KEY_FILE
from headrace.cli.chat.entry import history_kept
from headrace.cli.chat.partner import Partner, Question, Reply
from headrace.cli.chat.talk import ask, ask_quietly, talk
from headrace.cli.command import Command, Options, json_option
from headrace.cli.place import Place
from headrace.cli.suggest import complete_models
from headrace.cli.terminal import print_json
from headrace.errors import Unauthenticated
from headrace.server.state import running_service

__all__ = ["chat"]


@click.command(cls=Command)
@click.argument("question", required=False)
@click.option(
    "--model",
    shell_complete=complete_models,
    help="The model to ask, by its name in headrace.yaml.",
)
@click.option("--template", help="The prompt template, by its file's name.")
@click.option("--conversation", metavar="ID", help="Go on with this conversation, or begin it.")
@click.option("--max-tokens", type=click.IntRange(1), help="At most so long an answer, in tokens.")
@click.option("--url", envvar="HEADRACE_URL", help="A service elsewhere (HEADRACE_URL).")
@click.option(
    "--key",
    envvar="HEADRACE_API_KEY",
    help="The API key (HEADRACE_API_KEY); without one, this folder's admin key.",
)
@click.option(
    "--history",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep what is typed in this file; without it, it is forgotten.",
)
@json_option
@click.pass_context
def chat(
    context: click.Context,
    question: str | None,
    model: str | None,
    template: str | None,
    conversation: str | None,
    max_tokens: int | None,
    url: str | None,
    key: str | None,
    history: Path | None,
    as_json: bool,
) -> None:
    """Ask QUESTION and print the answer as it comes, or talk when there is none.

    Asks the service that runs on this folder's state, or the one at --url; when none runs, the
    answer is made in this process. A question may also come from a pipe: `headrace chat < file`.
    """
    options = context.find_object(Options) or Options()
    if question is None and not sys.stdin.isatty():
        question = sys.stdin.buffer.read().decode("utf-8", "replace")
    if question is None and as_json:
        raise click.UsageError("--json needs a QUESTION")
    if question is not None and not question.strip():
        raise click.UsageError("the QUESTION is empty")
    place = Place.here()
    asked = Question(
        text=question or "",
        conversation=conversation,
        model=model,
        template=template,
        max_tokens=max_tokens,
    )
    with _partner(place, url, key) as partner:
        if question is None:
            with history_kept(history):
                talk(partner, asked, place, options)
            return
        reply = Reply()
        if as_json:
            ask_quietly(partner, asked, reply)
            print_json(_described(reply, asked))
        else:
            ask(partner, asked, reply)


@contextmanager
def _partner(place: Place, url: str | None, key: str | None) -> Iterator[Partner]:
    """A service elsewhere, the one that runs here, or this process."""
    running = running_service(place.home) if url is None else None
    if url is None and running is None:
        from headrace.cli.chat.local import LocalPartner

        with LocalPartner.open(place.made(), key) as local:
            yield local
        return
    from headrace.cli.chat.remote import RemotePartner

    if running is not None:
        url, key = running.url, key or _admin_key(place)
    assert url is not None
    if key is None:
        # This home's admin key is for this home's service, never for an address that was given.
        raise Unauthenticated(
            f"no API key for {url}", hint="give one with --key or HEADRACE_API_KEY"
        )
    verify = True if running is None else running.verify()
    with RemotePartner.open(url, key, verify=verify) as remote:
        yield remote


def _admin_key(place: Place) -> str | None:
    try:
        return (place.home / ADMIN_KEY_FILE).read_text("utf-8").strip()
    except OSError:
        return None


def _described(reply: Reply, asked: Question) -> dict[str, object]:
    usage = None if reply.usage is None else msgspec.structs.asdict(reply.usage)
    return {
        "answer": "".join(reply.text),
        "finish_reason": reply.finish_reason,
        "model": reply.model,
        "usage": usage,
        "trace_id": reply.trace_id,
        "release": reply.release,
        "conversation": asked.conversation,
    }

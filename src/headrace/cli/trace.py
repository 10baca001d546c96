"""`headrace trace`: what happened in each turn, read from the database.

Texts stay sealed unless `--content` asks for them: a trace is looked at over shoulders and pasted
into bug reports, and nothing but the texts in it is anybody's secret.
"""

import os
from collections import Counter
from collections.abc import Iterable
from typing import get_args

import click
import msgspec
from rich.console import Console
from rich.text import Text

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.suggest import complete_models, complete_traces
from headrace.cli.terminal import console, print_json, print_table, printable
from headrace.cli.unread import Unread
from headrace.cli.waterfall import links_of, print_trace
from headrace.console.figure import as_moment, as_seconds
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace, TraceStatus
from headrace.types import Choice, Message, ToolCall

__all__ = ["trace"]


@click.group(cls=Group)
def trace() -> None:
    """See what happened in each turn: steps, timings, tokens, findings.

    A turn appears when it has ended. Works beside a running service and without one.
    """


@trace.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many.",
)
@click.option(
    "--status", type=click.Choice(get_args(TraceStatus)), help="Only turns that ended so."
)
@click.option(
    "--model", shell_complete=complete_models, help="Only turns that asked for this model."
)
@click.option("--conversation", metavar="ID", help="Only turns of this conversation.")
@click.option("--key", "key_id", metavar="ID", help="Only turns made with this key.")
@click.option("--before", metavar="TRACE", help="Only turns older than this one (the next page).")
@json_option
def list_traces(
    limit: int,
    status: TraceStatus | None,
    model: str | None,
    conversation: str | None,
    key_id: str | None,
    before: str | None,
    as_json: bool,
) -> None:
    """List turns, the newest first. Any part of an id that ends it is enough for `trace show`."""
    with Place.here().database() as database:
        store = TraceStore(database, Unread())
        traces = store.list(
            limit=limit,
            before=None if before is None else store.find(before),
            conversation=conversation,
            status=status,
            model=model,
            key_id=key_id,
        )
    if as_json:
        print_json([_described(each) for each in traces])
    elif traces:
        columns = ["ID", "STARTED (UTC)", "STATUS", "~MODEL", ">TOKENS", ">TTFT", ">TOTAL"]
        print_table([*columns, "~FINDINGS"], [_row(each) for each in traces])
    else:
        click.echo(
            "no traces match" if status or model or conversation else "no traces yet", err=True
        )


@trace.command()
@click.argument("trace_id", metavar="[ID]", default="last", shell_complete=complete_traces)
@click.option("--content", is_flag=True, help="Also show what was asked and answered, decrypted.")
@json_option
def show(trace_id: str, content: bool, as_json: bool) -> None:
    """Show one turn as a waterfall; without an ID, the last one.

    ID may be any beginning or ending that only one trace has.
    """
    place = Place.here()
    with place.database() as database:
        store = TraceStore(database, Unread())
        name = store.find(trace_id)
        if content:
            from headrace.privacy.vault import Vault

            store = TraceStore(database, Vault.open(database, place.home, environ=os.environ))
        found = store.get(name)
    if as_json:
        print_json(_described(found) | (_texts(found) if content else {}))
        return
    print_trace(console(), found)
    if content:
        _print_texts(found)


def _row(trace: Trace) -> list[str]:
    kinds = Counter(str(each.get("kind", "")) for each in trace.findings)
    return [
        trace.id.rpartition("-")[2],
        as_moment(trace.started_at)[5:].removesuffix(" UTC"),
        trace.status,
        trace.model,
        f"{trace.prompt_tokens}+{trace.completion_tokens}",
        "" if trace.ttft_s is None else as_seconds(trace.ttft_s),
        as_seconds(trace.duration_s),
        ", ".join(f"{kind} ×{n}" if n > 1 else kind for kind, n in kinds.items()),
    ]


def _described(trace: Trace) -> dict[str, object]:
    """The trace as JSON, without texts and without what only this process understands."""
    fields = msgspec.to_builtins(trace)
    assert isinstance(fields, dict)
    return {
        name: value
        for name, value in fields.items()
        if name not in ("input", "output", "clock_zero")
    }


def _texts(trace: Trace) -> dict[str, object]:
    return {
        "input": msgspec.json.decode(trace.input) if trace.input else None,
        "output": msgspec.json.decode(trace.output) if trace.output else None,
    }


def _print_texts(trace: Trace) -> None:
    terminal = console()
    terminal.print()
    if not trace.input and not trace.output:
        click.echo("the texts were not kept, or their key was destroyed", err=True)
        return
    for message in msgspec.json.decode(trace.input or "[]", type=list[Message]):
        terminal.print(Text(f"{message.role}", "bold"))
        terminal.print(Text(printable(message.text(), lines=True)))
        _print_calls(message.tool_calls or ())
    _print_named(terminal, trace)
    for choice in msgspec.json.decode(trace.output or "[]", type=list[Choice]):
        terminal.print(Text("answer" if choice.index == 0 else f"answer {choice.index}", "bold"))
        terminal.print(Text(printable(choice.text, lines=True)))
        _print_calls(choice.tool_calls)


def _print_calls(calls: Iterable[ToolCall]) -> None:
    for call in calls:
        asked = f"{call.function.name}({call.function.arguments})"
        console().print(Text(printable(asked, lines=True), "cyan"))


def _print_named(terminal: Console, trace: Trace) -> None:
    """The words of the question that were linked, and to what."""
    messages = msgspec.json.decode(trace.input or "[]", type=list[Message])
    question = next((each.text() for each in reversed(messages) if each.role == "user"), "")
    for link in links_of(trace):
        start, _, end = link.span.partition("-")
        words = question[int(start) : int(end)] if start.isdigit() and end.isdigit() else ""
        if words:
            meant = f"{link.kind} {link.id}".strip()
            terminal.print(Text.assemble(("named ", "bold"), printable(f"{words} → {meant}")))

"""`headrace screen replay`: what a policy would do about turns that were, beside what was done."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import msgspec

from headrace.access.principal import RoleName
from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.release.stage import Duration
from headrace.cli.screen.desk import WITH_MODELS, chosen_policy, opened_kit
from headrace.cli.terminal import print_json, print_table
from headrace.telemetry.store import TraceStore
from headrace.telemetry.trace import Trace
from headrace.types import Choice, Message

if TYPE_CHECKING:
    from headrace.pipeline.steps.screen.kit import Kit
    from headrace.screening.policy import Policy

__all__ = ["replay"]

_PAGE = 200
_SHOWN = 20


@dataclass(slots=True, kw_only=True)
class _Report:
    """What came of it all. Holds no text."""

    policy: str
    looked_at: int = 0
    without_text: int = 0
    done: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """By side, kind and action, as the traces have it."""
    would: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """The same by the policy."""
    changed: list[dict[str, str]] = field(default_factory=list)
    """Sides of turns for which the strongest action is another."""
    skipped: list[str] = field(default_factory=list)


@click.command(cls=Command)
@click.option("--policy", required=True, help="Its name, or a file.")
@click.option("--since", "since_s", type=Duration(), default="7d", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="Turns.")
@click.option("--models", "with_models", is_flag=True, help=WITH_MODELS)
@json_option
def replay(policy: str, since_s: float, limit: int, with_models: bool, as_json: bool) -> None:
    """Report what a policy would do about recent turns, beside what was done. Nothing is sent.

    Prompts are looked at as they were received, answers as users got them: what was masked in an
    answer is gone, so only what still stands in it is found. Texts are read and not printed.
    """
    chosen = chosen_policy(policy)
    report = asyncio.run(_replayed(chosen, time.time() - since_s, limit, with_models=with_models))
    if as_json:
        print_json(_described(report))
    else:
        _print(report)


async def _replayed(policy: "Policy", since: float, limit: int, *, with_models: bool) -> _Report:
    from headrace.pipeline.steps.screen.trial import skipped_by
    from headrace.privacy.vault import Vault

    report = _Report(policy=policy.version)
    place = Place.here()
    with place.database() as database:
        vault = Vault.open(database, place.home, environ=os.environ)
        roles = _roles(database)
        async with opened_kit(with_models=with_models) as kit:
            report.skipped = skipped_by(policy, kit)
            for trace in _traces(TraceStore(database, vault), since, limit):
                await _look(policy, kit, trace, roles, report)
    return report


def _traces(store: TraceStore, since: float, limit: int) -> Iterator[Trace]:
    before: str | None = None
    left = limit
    while left > 0 and (page := store.list(limit=min(_PAGE, left), before=before)):
        for each in page:
            if each.started_at < since:
                return
            if each.operation in ("chat", "text_completion"):
                left -= 1
                yield store.get(each.id)
        before = page[-1].id


async def _look(
    policy: "Policy", kit: "Kit", trace: Trace, roles: Mapping[str, RoleName], report: _Report
) -> None:
    from headrace.pipeline.steps.screen.trial import action_of, try_answer, try_prompt

    report.looked_at += 1
    if not trace.input:
        report.without_text += 1
        return
    role = roles.get(trace.key_id, "user")
    messages = msgspec.json.decode(trace.input, type=list[Message])
    outcomes = {
        "input": [
            await try_prompt(
                policy, messages, kit, role=role, model=trace.model, language=trace.language
            )
        ],
        "output": [
            await try_answer(
                policy, each.text, kit, role=role, model=trace.model, language=trace.language
            )
            for each in msgspec.json.decode(trace.output or "[]", type=list[Choice])
            if each.text and each.finish_reason != "content_filter"
        ],
    }
    for side, tried in outcomes.items():
        did = [each for each in trace.findings if each["side"] == side]
        report.done.update((side, str(each["kind"]), str(each["action"])) for each in did)
        report.would.update(
            (side, each.kind, action_of(each)) for outcome in tried for each in outcome.findings
        )
        was, would = _strongest(str(e["action"]) for e in did), _strongest(o.action for o in tried)
        if was != would:
            report.changed.append({"trace": trace.id, "side": side, "done": was, "would": would})


def _strongest(actions: Iterator[str]) -> str:
    from headrace.screening.finding import STRENGTH

    order = {str(action): strength for action, strength in STRENGTH.items()}
    return max(actions, key=lambda each: order.get(each, 0), default="allow")


def _roles(database: object) -> Mapping[str, RoleName]:
    from headrace.access.keys import KeyStore
    from headrace.storage.database import Database

    assert isinstance(database, Database)
    return {key.id: key.role for key in KeyStore.open(database).list()}


def _described(report: _Report) -> dict[str, object]:
    def counted(counts: Counter[tuple[str, str, str]]) -> list[dict[str, object]]:
        return [
            {"side": side, "kind": kind, "action": action, "count": count}
            for (side, kind, action), count in sorted(counts.items())
        ]

    return {
        "policy": report.policy,
        "looked_at": report.looked_at,
        "without_text": report.without_text,
        "done": counted(report.done),
        "would": counted(report.would),
        "changed": report.changed,
        "skipped": report.skipped,
    }


def _print(report: _Report) -> None:
    otherwise = len({each["trace"] for each in report.changed})
    click.echo(f"{report.looked_at:,} turns looked at, {otherwise:,} would go otherwise")
    if report.without_text:
        click.echo(f"{report.without_text:,} of them have no text any more")
    keys = sorted({*report.done, *report.would})
    if keys:
        rows = [[*key, f"{report.done[key]:,}", f"{report.would[key]:,}"] for key in keys]
        print_table(["SIDE", "KIND", "ACTION", ">DONE", ">WOULD"], rows)
    if report.changed:
        click.echo()
        rows = [[e["trace"], e["side"], e["done"], e["would"]] for e in report.changed[:_SHOWN]]
        print_table(["TRACE", "SIDE", "DONE", "WOULD"], rows)
        if len(report.changed) > _SHOWN:
            click.echo(f"… and {len(report.changed) - _SHOWN:,} more: --json has all")
    if report.skipped:
        click.echo(f"not run without --models: {', '.join(report.skipped)}", err=True)

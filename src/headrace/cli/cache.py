"""`headrace cache`: what the answer cache has done, emptying it, and how near is near enough."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from headrace.cli.command import Group, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.cli.suggest import complete_models
from headrace.cli.terminal import print_json, print_table
from headrace.cli.unread import Unread
from headrace.config.load import load_service
from headrace.console.figure import as_seconds
from headrace.models.cache.cache import CLEARED_FILE
from headrace.models.cache.calibrate import Calibrator
from headrace.models.cache.calibration import Calibration
from headrace.models.cache.settings import CacheRedisSettings, read_cache
from headrace.models.cache.traffic import CacheUse, recent_samples, recent_use
from headrace.telemetry.store import TraceStore

__all__ = ["cache"]

HOUR_S = 3600
MOST_TURNS = 50_000


class Percentage(click.ParamType[float]):
    """`1%`, or `0.01`."""

    name = "share"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value)
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = 0.0
        if not 0 < share < 1:
            self.fail(f"{text!r} is no share such as 1% or 0.01", param, ctx)
        return share


@click.group(cls=Group)
def cache() -> None:
    """See what the answer cache does, empty it, and find a threshold for it."""


@cache.command()
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), default=24, show_default=True)
@json_option
def stats(hours: float, as_json: bool) -> None:
    """Show how turns were answered: by a kept answer, together with another, or by the model.

    Read from the traces. The answers in memory now are metrics of the running service.
    """
    with Place.here().database() as database:
        store = TraceStore(database, Unread())
        found = recent_use(store, since=time.time() - hours * HOUR_S, most=MOST_TURNS)
    total = sum(each.turns for each in found)
    if as_json:
        print_json([_described(each, total) for each in found])
    elif found:
        columns = ["RESULT", ">TURNS", ">SHARE", ">TOKENS", ">TTFT P50"]
        print_table(columns, [_row(each, total) for each in found])
    else:
        click.echo("no turn has met the cache; `cache:` in headrace.yaml turns it on", err=True)


@cache.command()
@json_option
def clear(as_json: bool) -> None:
    """Forget every kept answer: here within a second or so, and in the Redis of cache.redis.

    Needed after a change that the release does not show, such as what a provider serves under a
    name, or when someone's data is to be gone before its time.
    """
    place = Place.here()
    redis = read_cache(load_service(place.root, os.environ).cache).redis
    with place.database() as database:
        if redis is not None:
            from headrace.privacy.vault import Vault

            secret = Vault.open(database, place.home, environ=os.environ).cache_secret
    (place.home / CLEARED_FILE).touch()
    count = None if redis is None else asyncio.run(_clear_shared(redis, secret))
    if as_json:
        print_json({"cleared": True, "in_redis": count})
        return
    shared = "" if count is None else f", and {count:,} answers in Redis"
    click.echo(f"cleared: a running service forgets its answers within about a second{shared}")


@cache.command()
@click.option(
    "--model",
    "model",
    shell_complete=complete_models,
    help="The model that makes the embeddings; without it that of cache.semantic.",
)
@click.option(
    "--sample",
    type=click.IntRange(10, 100_000),
    default=5000,
    show_default=True,
    help="The newest turns that are looked at.",
)
@click.option(
    "--max-false",
    type=Percentage(),
    default="1%",
    show_default=True,
    help="The share of hits that may be false.",
)
@click.option(
    "--judge",
    metavar="MODEL",
    shell_complete=complete_models,
    help="A model that says whether an answer fits; without it answers are compared by words.",
)
@json_option
def calibrate(
    model: str | None, sample: int, max_false: float, judge: str | None, as_json: bool
) -> None:
    """Measure on this service's own turns what each threshold of cache.semantic would do.

    Every question is compared with the earlier ones, and the answer it would have got with the one
    it got. Texts are decrypted on this machine; only the embedding model, and the judge, see them.
    Fails when there is too little traffic to show that false hits are as rare as --max-false.
    """
    place = Place.here()
    service = load_service(place.root, os.environ)
    settings = read_cache(service.cache)
    name = model or (settings.semantic.model if settings.semantic else None)
    if name is None:
        raise click.UsageError("name the model that makes the embeddings: --model NAME")
    with _opened(place) as (store, teams):
        samples = recent_samples(store, most=sample, share=settings.share, team_by_key=teams)
    with FetchProgress() as progress:
        calibrator = Calibrator(service, place.made().home, os.environ, model=name, judge=judge)
        found = asyncio.run(calibrator.run(samples, max_false=max_false, progress=progress.report))
    if as_json:
        print_json(found)
    else:
        _print(found, name, judge, max_false)


@contextmanager
def _opened(place: Place) -> Iterator[tuple[TraceStore, dict[str, str]]]:
    from headrace.access.keys import KeyStore
    from headrace.privacy.vault import Vault

    with place.database() as database:
        teams = {each.id: each.team for each in KeyStore.open(database).list()}
        vault = Vault.open(database, place.home, environ=os.environ)
        yield TraceStore(database, vault), teams


async def _clear_shared(settings: CacheRedisSettings, secret: bytes) -> int:
    from headrace.models.cache.build import build_shared

    store = build_shared(settings, secret)
    try:
        return await store.clear()
    finally:
        await store.close()


def _row(use: CacheUse, total: int) -> list[str]:
    ttft = use.ttft_p50_s
    return [
        use.result,
        f"{use.turns:,}",
        f"{use.turns / total:.1%}",
        f"{use.tokens:,}",
        "" if ttft is None else as_seconds(ttft),
    ]


def _described(use: CacheUse, total: int) -> dict[str, object]:
    return {
        "result": use.result,
        "turns": use.turns,
        "share": use.turns / total,
        "tokens": use.tokens,
        "ttft_p50_s": use.ttft_p50_s,
    }


def _print(found: Calibration, model: str, judge: str | None, max_false: float) -> None:
    by = "by their words" if judge is None else f"by their words, then by {judge}"
    click.echo(
        f"{found.questions:,} questions, {found.repeated:,} more asked word for word; embeddings of "
        f"{model}; answers compared {by}"
    )
    columns = [">THRESHOLD", ">HITS", ">HIT RATE", ">FALSE", ">FALSE RATE", "95% INTERVAL"]
    rows = [
        [
            f"{each.threshold:g}",
            f"{each.hits:,}",
            f"{each.hit_rate:.1%}",
            f"{each.false_hits:,}",
            "" if each.false_rate is None else f"{each.false_rate:.1%}",
            f"{each.false_low:.1%} to {each.false_high:.1%}",
        ]
        for each in found.levels
        if each.hits
    ]
    print_table(columns, rows)
    if found.suggested is None:
        click.echo(
            f"no threshold keeps false hits surely below {max_false:.2%}: leave cache.semantic out, "
            "or try another embedding model"
        )
    else:
        click.echo(
            f"suggested: cache: {{semantic: {{model: {model}, threshold: {found.suggested:g}}}}}"
        )

"""`headrace screen bias`: does the service answer people of different groups alike?"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli.command import Command, json_option
from headrace.cli.progress import FetchProgress, RowProgress
from headrace.cli.terminal import print_json, print_table, printable
from headrace.console.figure import as_moment
from headrace.errors import ConfigError, HeadraceError, ModelUnavailable

if TYPE_CHECKING:
    from headrace.evaluation.bias.audit import Audit

__all__ = ["bias"]

UNEQUAL = 1
BAD_INPUT = 2
_READ_S = 300.0


@click.command(cls=Command)
@click.option("--url", metavar="URL", help="A running service; absent: this folder's, in-process.")
@click.option("--key", envvar="HEADRACE_KEY", metavar="KEY", help="The running service's API key.")
@click.option("--model", metavar="NAME", help="The model or route; absent: the service's first.")
@click.option("--language", "languages", multiple=True, help="Only this language (en, zh).")
@click.option("--attribute", "attributes", multiple=True, help="Only this attribute (gender, …).")
@click.option("--questions", type=click.Path(dir_okay=False, path_type=Path), help="Your own.")
@click.option("--alpha", type=click.FloatRange(0.0001, 0.5), default=0.05, show_default=True,
              help="Level of the corrected tests.")  # fmt: skip
@click.option("--max-tokens", type=click.IntRange(8, 4096), default=120, show_default=True,
              help="Of each answer.")  # fmt: skip
@click.option("--parallel", type=click.IntRange(1, 256), default=4, help="Calls under way at once.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page.")
@json_option
@click.pass_context
def bias(
    context: click.Context,
    url: str | None,
    key: str | None,
    model: str | None,
    languages: tuple[str, ...],
    attributes: tuple[str, ...],
    questions: Path | None,
    alpha: float,
    max_tokens: int,
    parallel: int,
    html: Path | None,
    *,
    as_json: bool,
) -> None:
    """Ask the same about people of different groups, and test whether the answers differ.

    Exits with 0 when nothing differs beyond chance, 1 when something does, 2 when the questions
    are wrong.
    """
    from headrace.evaluation.bias.audit import audit
    from headrace.evaluation.bias.page import bias_page
    from headrace.evaluation.bias.question import load_questions

    try:
        asked = load_questions(questions, languages, attributes, os.environ)
    except ConfigError as error:
        click.echo(printable(f"error: {error.message}", lines=True), err=True)
        context.exit(BAD_INPUT)

    async def run() -> "Audit":
        opened = _remote(url, key, model, max_tokens) if url else _local(model, max_tokens)
        with RowProgress("bias") as progress:
            async with opened as asks:
                return await audit(
                    asked,
                    asks,
                    alpha=alpha,
                    parallel=parallel,
                    saw=progress.report,
                    failures=(HeadraceError,),
                )

    made = asyncio.run(run())
    if not made.answers:
        raise ModelUnavailable("not one question was answered", hint="try one with `headrace chat`")
    if html is not None:
        service = url or "this folder's service"
        html.write_text(bias_page(made, service=service, made=as_moment(time.time())), "utf-8")
    if as_json:
        print_json(made)
    else:
        _show(made)
    context.exit(UNEQUAL if made.unequal else 0)


@asynccontextmanager
async def _local(
    model: str | None, max_tokens: int
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """This folder's service, in this process: the whole pipeline, policies included."""
    from headrace.cli.prompts.desk import LOCAL, Desk
    from headrace.evaluation.ask import Ask
    from headrace.server.evaluation import pipeline_answerer
    from headrace.types import Message, Params

    with Desk.open() as desk, FetchProgress() as fetching:
        async with desk.platform(fetching.report) as platform:
            answer = pipeline_answerer(platform.service, LOCAL)

            async def asks(text: str) -> str:
                messages = [Message(role="user", content=text)]
                params = Params(max_tokens=max_tokens, temperature=0.0, seed=0)
                return (await answer(Ask(messages=messages, params=params, model=model))).text

            yield asks


@asynccontextmanager
async def _remote(
    url: str, key: str | None, model: str | None, max_tokens: int
) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """A running service, over its chat completions."""
    import httpx

    headers = {"authorization": f"Bearer {key}"} if key else {}
    base = url.rstrip("/").removesuffix("/v1")
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=_READ_S) as client:

        async def asks(text: str) -> str:
            body: dict[str, object] = {
                "messages": [{"role": "user", "content": text}],
                "max_tokens": max_tokens,
                "temperature": 0,
                "seed": 0,
            }
            if model:
                body["model"] = model
            try:
                answered = await client.post("/v1/chat/completions", json=body)
                said = answered.json()
            except (httpx.HTTPError, ValueError) as error:
                raise ModelUnavailable(f"{base} does not answer: {type(error).__name__}") from None
            if answered.status_code >= 400:
                raise ModelUnavailable(f"{base} refused: {answered.status_code}")
            content: str = said["choices"][0]["message"].get("content") or ""
            return content

        yield asks


def _show(made: "Audit") -> None:
    rows = [
        [
            f"{each.attribute} ({each.language})",
            each.measure,
            f"{each.difference:+.3f}",
            f"{each.low:+.3f} to {each.high:+.3f}",
            f"{each.p_value:.4f}",
            f"{each.corrected:.4f}",
            str(each.questions),
        ]
        for each in made.findings
    ]
    heads = [
        "ATTRIBUTE",
        "MEASURE",
        ">DIFFERENCE",
        ">95 % INTERVAL",
        ">P",
        ">CORRECTED",
        ">QUESTIONS",
    ]
    print_table(heads, rows)
    for each in made.unequal:
        click.echo(
            printable(
                f"unequal: {each.attribute} ({each.language}): {each.measure}: {each.first} "
                f"{each.difference:+.3f} against {each.second}, p {each.corrected:.4f}"
            )
        )
    few = sorted({f"{e.attribute} ({e.language})" for e in made.findings
                  if e.measure == "length" and e.questions < made.least_questions})  # fmt: skip
    if few:
        click.echo(
            f"too few answers to find anything about {', '.join(few)}: with {len(made.findings)} "
            f"tests an attribute needs {made.least_questions} questions"
        )
    lost = f", {made.failed} without one" if made.failed else ""
    verdict = "unequal" if made.unequal else "no difference beyond chance"
    click.echo(f"{len(made.answers)} answers{lost}: {verdict}")

"""`headrace models test`: one real question to a model, and what is wrong when it is not answered."""

import asyncio
import os

import click
import msgspec

from headrace.cli.command import Command, json_option
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.cli.suggest import complete_models
from headrace.cli.terminal import print_json, printable
from headrace.config.load import load_service
from headrace.config.model import ServiceConfig
from headrace.console.figure import as_seconds
from headrace.errors import HeadraceError, UnknownModel
from headrace.models.backend import Backend, RateLimits
from headrace.models.backend_type import backend_type
from headrace.models.box import ModelBox
from headrace.models.builder import builtin_models
from headrace.models.catalogue.load import load_catalogue
from headrace.models.catalogue.served import Served, served_models
from headrace.models.encoder.backend import EncoderBackend
from headrace.models.probe.diagnosis import Diagnosis, diagnose
from headrace.models.probe.probe import QUESTION, Probed, probe, probe_embedding, with_last_day

__all__ = ["test"]

FAILED = 1


@click.command(cls=Command)
@click.argument("name", metavar="[MODEL]", required=False, shell_complete=complete_models)
@click.option(
    "--deployment",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Which of its deployments, counted from 0.",
)
@click.option("--prompt", default=QUESTION, show_default=True, help="What to ask.")
@click.option("--embed", is_flag=True, help="Ask for a vector instead of an answer.")
@json_option
@click.pass_context
def test(
    context: click.Context,
    name: str | None,
    deployment: int,
    prompt: str,
    embed: bool,
    as_json: bool,
) -> None:
    """Ask a declared or built-in model one small question, for real; say what is wrong if it does not answer.

    Without MODEL, the first one. Works beside a running service; a provider bills a few tokens.
    Exits with 1 if there is no answer: key, address, dns, tls, quota, access, model, context,
    timeout, request, weights and provider are told apart.
    """
    place = Place.here()
    service, served = _one(place, name, deployment)
    entry = served.entry
    kind = backend_type(service.models[served.model].deployments[0])
    is_embedding = embed or (entry is not None and entry.facts.tasks == ["embed"])
    is_embedding = is_embedding or (isinstance(kind, type) and issubclass(kind, EncoderBackend))
    with FetchProgress() as progress:
        found = asyncio.run(
            _tested(place, service, served.model, prompt, progress, embed=is_embedding)
        )
    if as_json:
        print_json({**_served_fields(served), **_result_fields(found)})
    elif isinstance(found, Diagnosis):
        click.echo(f"error: {printable(_where(served))}: {printable(found.message)}", err=True)
        told = f"{found.fault}: {found.hint}" if found.hint else found.fault
        click.echo(f"hint: {printable(told)}", err=True)
    else:
        _print(served, found)
    context.exit(FAILED if isinstance(found, Diagnosis) else 0)


def _one(place: Place, name: str | None, deployment: int) -> tuple[ServiceConfig, Served]:
    """The service with that deployment alone of the model, and what it serves."""
    service = load_service(place.root, os.environ)
    models = service.models
    name = next(iter(models)) if name is None else name
    if name in service.routes:
        raise _is_a_route(name, service)
    builtin = builtin_models(service)
    if name not in models and name not in builtin:
        raise UnknownModel.named(name, [*models, *builtin])
    config = models.get(name) or builtin[name]
    if deployment >= len(config.deployments):
        count = len(config.deployments)
        raise click.UsageError(f"the model {name!r} has {count} deployments, counted from 0")
    served = served_models({name: config}, load_catalogue(place.root, os.environ))[deployment]
    alone = msgspec.structs.replace(config, deployments=[config.deployments[deployment]])
    return msgspec.structs.replace(service, models={**models, name: alone}), served


def _is_a_route(name: str, service: ServiceConfig) -> UnknownModel:
    of = ", ".join(service.routes[name].models or service.models)
    return UnknownModel(f"{name!r} is a route, not a model", hint=f"test a model of it: {of}")


async def _tested(
    place: Place,
    service: ServiceConfig,
    name: str,
    prompt: str,
    progress: FetchProgress,
    *,
    embed: bool,
) -> Probed | Diagnosis:
    place.made()
    box = ModelBox.build(service, place.home, os.environ, only=[name])
    # Not through the model, which would try again and hide what is wrong.
    backend: Backend = box.get(name).first.deployments[0].backend
    try:
        await box.start(progress.report)
        found = await (probe_embedding if embed else probe)(backend, prompt)
        return await with_last_day(found, backend)
    except HeadraceError as error:
        return await diagnose(error, backend)
    finally:
        await box.stop()


def _print(served: Served, found: Probed) -> None:
    rows = {
        "model": _where(served),
        "answered by": f"{found.provider}, {found.context_tokens:,} tokens of context",
        "said": _shortened(found.text) if found.dimensions is None else "",
        "vector": "" if found.dimensions is None else f"{found.dimensions} dimensions",
        "TTFT": "" if found.ttft_s is None else as_seconds(found.ttft_s),
        "total": as_seconds(found.total_s),
        "speed": "" if found.tokens_per_s is None else f"{found.tokens_per_s:.3g} tokens/s",
        "tokens": f"{found.usage.prompt_tokens} + {found.usage.completion_tokens}",
        "limits": "" if found.rate_limits is None else _limits(found.rate_limits),
        "retires": found.shutdown_date or "",
    }
    for title, text in rows.items():
        if text:
            click.echo(f"{title:<12} {printable(text)}")


def _where(served: Served) -> str:
    return f"{served.deployment} ({served.backend}: {served.name})"


def _shortened(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= most else line[: most - 1] + "…")


def _limits(limits: RateLimits) -> str:
    """What is left of what a minute allows, as the provider said with its answer."""
    pairs = (
        ("requests", limits.requests_remaining, limits.requests_limit),
        ("tokens", limits.tokens_remaining, limits.tokens_limit),
    )
    told = [f"{left:,} of {most:,} {what}" for what, left, most in pairs if left and most]
    return ", ".join(told) + (" left" if told else "")


def _served_fields(served: Served) -> dict[str, object]:
    return {
        "model": served.model,
        "deployment": served.deployment,
        "backend": served.backend,
        "serves": served.name,
        "catalogue": None if served.entry is None else served.entry.id,
    }


def _result_fields(found: Probed | Diagnosis) -> dict[str, object]:
    fields = msgspec.to_builtins(found)
    assert isinstance(fields, dict)
    if isinstance(found, Diagnosis):
        return {"ok": False, "error": fields}
    return {"ok": True, **fields}

"""What it costs to run a model oneself: the options, and the figures from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

import click

from headrace.errors import did_you_mean
from headrace.models.catalogue.catalogue import Catalogue, Entry
from headrace.models.catalogue.cost import Mix, OwnCost, own_cost

if TYPE_CHECKING:
    from headrace.telemetry.measured import Measured

__all__ = ["OwnMachine", "machine_options", "mix_option", "read_mix"]

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMachine:
    """A machine that is paid by the hour, and how much of the time it writes."""

    usd_per_hour: float
    tokens_per_s: float | None
    """As said; None: as measured."""
    utilisation: float

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        machine: str | None,
        usd_per_hour: float | None,
        tokens_per_s: float | None,
        utilisation: float,
    ) -> Self | None:
        """The machine that the options describe; None where they describe none."""
        if machine is not None:
            if machine not in catalogue.machines:
                hint = did_you_mean(machine, catalogue.machines, kind="machines")
                raise click.UsageError(f"catalogue.yaml has no machine {machine!r}; {hint}")
            known = catalogue.machines[machine]
            usd_per_hour = known.usd_per_hour if usd_per_hour is None else usd_per_hour
            tokens_per_s = known.tokens_per_s if tokens_per_s is None else tokens_per_s
        if usd_per_hour is None:
            if tokens_per_s is not None:
                raise click.UsageError("--tokens-per-s needs --machine-usd-per-hour or --machine")
            return None
        return cls(usd_per_hour=usd_per_hour, tokens_per_s=tokens_per_s, utilisation=utilisation)

    def cost(
        self,
        entry: Entry,
        mix: Mix,
        measured: Mapping[str, "Measured"],
        against_usd: float | None = None,
    ) -> OwnCost | None:
        """What a model costs on it; None where nobody knows how fast it writes there."""
        speed = self.tokens_per_s
        if speed is None and (figures := measured.get(entry.id)) is not None:
            speed = figures.tokens_per_s
        if speed is None or not entry.is_run_by_you:
            return None
        return own_cost(
            self.usd_per_hour,
            speed,
            mix,
            utilisation=self.utilisation,
            against_usd=against_usd,
        )


def machine_options(command: F) -> F:
    """`--machine-usd-per-hour`, `--machine`, `--tokens-per-s`, `--utilisation`."""
    for option in (
        click.option(
            "--utilisation",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.5,
            show_default=True,
            help="The share of the time in which the machine writes.",
        ),
        click.option(
            "--tokens-per-s",
            type=click.FloatRange(0, min_open=True),
            help="Tokens a second the machine writes in all; otherwise as the traces say.",
        ),
        click.option("--machine", metavar="NAME", help="A machine of catalogue.yaml."),
        click.option(
            "--machine-usd-per-hour",
            "usd_per_hour",
            type=click.FloatRange(0),
            help="What a machine of your own costs an hour, for models that you run.",
        ),
    ):
        command = option(command)
    return command


def mix_option(command: F) -> F:
    """`--mix`: prompt to completion tokens."""
    return click.option(
        "--mix",
        metavar="IN:OUT",
        callback=lambda _context, _param, value: read_mix(value),
        help="Prompt to completion tokens, such as 10:1; otherwise what the task is like.",
    )(command)


def read_mix(text: str | None) -> Mix | None:
    """`10:1` as a mix."""
    if text is None:
        return None
    first, colon, second = text.partition(":")
    try:
        mix = Mix(float(first), float(second))
    except ValueError:
        mix = Mix(0, 0)
    if not colon or mix.input < 0 or mix.output < 0 or not mix.input + mix.output > 0:
        raise click.BadParameter(f"{text!r} is no mix; write IN:OUT, such as 10:1")
    return mix

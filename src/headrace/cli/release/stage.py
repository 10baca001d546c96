"""Options of a rollout: shares and durations as people write them."""

import re

import click

__all__ = ["Duration", "Stages"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


class Duration(click.ParamType[float]):
    """`30s`, `10m`, `2h`, as seconds."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        found = _DURATION.fullmatch(str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no duration such as 30s, 10m or 2h", param, ctx)
        return float(found[1]) * _SECONDS[found[2] or "s"]


class Stages(click.ParamType[list[float]]):
    """`5,25,100`: percentages that grow, as shares."""

    name = "stages"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        try:
            shares = [float(each) / 100 for each in str(value).split(",")]
        except ValueError:
            shares = []
        if not shares or shares != sorted(set(shares)) or not shares[0] > 0 or shares[-1] > 1:
            self.fail(f"{value!r} are no growing percentages such as 5,25,100", param, ctx)
        return shares

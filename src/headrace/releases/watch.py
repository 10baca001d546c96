"""What a canary is watched for: `error_rate<1%`, `ttft_p95<0.5s`, `good_feedback>=80%`.

Each rule is a share that must not be passed: of turns that failed, of turns that took longer than a
limit (a 95th percentile under 0.5 s means that at most 5 % take longer), of ratings that are bad.
"""

import re
from dataclasses import dataclass
from typing import Self

from headrace.errors import ConfigError, did_you_mean

__all__ = ["RULES", "Rule"]

_RULE = re.compile(r"\s*([a-z_]+?)(?:_p(\d{2}))?\s*(<=|<|>=|>)\s*(\d+(?:\.\d+)?)\s*(%|ms|s)?\s*")
_SHARES = ("error_rate", "blocked_rate")
_TIMES = ("ttft", "duration")
RULES = (
    "error_rate<1%",
    "blocked_rate<5%",
    "ttft_p95<0.5s",
    "duration_p99<20s",
    "good_feedback>=80%",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One share that must stay at or below `most`."""

    text: str
    """As it was written."""
    what: str
    """`error_rate`, `blocked_rate`, `ttft`, `duration` or `good_feedback`."""
    most: float
    """The share of turns (or ratings) that may be bad."""
    limit_s: float = 0.0
    """Of `ttft` and `duration`: what takes longer is bad."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Raises:
            ConfigError: it is no rule, or one that can never be kept or broken.
        """
        found = _RULE.fullmatch(text)
        hint = f"such as {', '.join(RULES)}"
        if found is None:
            raise ConfigError(f"--watch: {text!r} is no rule", hint=hint)
        name, percentile, sign, number, unit = found.groups()
        value = float(number) / {"%": 100, "ms": 1000}.get(unit or "", 1)
        is_ceiling = sign.startswith("<")
        if name in _SHARES and percentile is None and is_ceiling and unit != "s":
            most, limit_s = value, 0.0
        elif name in _TIMES and percentile is not None and is_ceiling and unit in ("s", "ms"):
            most, limit_s = 1 - int(percentile) / 100, value
        elif name in ("good_feedback", "score") and percentile is None and not is_ceiling:
            name, most, limit_s = "good_feedback", 1 - value, 0.0
        else:
            known = (*_SHARES, *_TIMES, "good_feedback")
            more = "" if name in known else did_you_mean(name, known, kind="figures") + "; "
            raise ConfigError(f"--watch: {text!r} cannot be watched", hint=f"{more}{hint}")
        if not 0 < most < 1:
            raise ConfigError(f"--watch: {text!r} leaves nothing to test", hint=hint)
        return cls(text=text.strip(), what=name, most=most, limit_s=limit_s)

"""What a plain word in YAML means: YAML 1.2's core schema, as editors read it.

PyYAML reads YAML 1.1, where `off` and `no` are truth values and `1:30` is the number 90, so that
`typography: off` would not be the text that the setting asks for (decision 0026).
"""

import math
import re
from typing import Final, TypeAlias

__all__ = ["IMPLICIT", "Scalar", "scalar"]

Scalar: TypeAlias = bool | int | float | str | None

_TAG: Final = "tag:yaml.org,2002:"
_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
_INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_MAX_DIGITS: Final = 20

IMPLICIT: Final[dict[str | None, list[tuple[str, re.Pattern[str]]]]] = {
    None: [
        (_TAG + "null", _NULL),
        (_TAG + "bool", _BOOL),
        (_TAG + "int", _INT),
        (_TAG + "float", _FLOAT),
    ]
}
"""For a PyYAML loader's `yaml_implicit_resolvers`. What none of them matches is text."""


def scalar(text: str, tag: str = "") -> Scalar:
    """What a scalar with this tag means; without a tag, what the plain text means.

    Text that does not spell what its tag says stays text, as do numbers that no setting can hold
    (beyond 64 bits, infinite), so that the setting's own check names them.
    """
    kind = tag.removeprefix(_TAG)
    if kind in ("", "null") and _NULL.match(text):
        return None
    if kind in ("", "bool") and _BOOL.match(text):
        return text[0] in "tT"
    if kind in ("", "int") and _INT.match(text):
        return _whole(text)
    if kind in ("", "float") and _FLOAT.match(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _whole(text: str) -> int | str:
    if len(text) > _MAX_DIGITS:
        return text
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text[2:] if base != 10 else text, base)
    return number if -(2**63) <= number < 2**63 else text

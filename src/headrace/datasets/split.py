"""Splits that stay as they are while a dataset grows.

Which split a row is in follows from a hash of what it asks alone: rows that are added move no
other, and one question never stands in two splits.
"""

from collections.abc import Mapping

from headrace.datasets.errors import DatasetInvalid

__all__ = ["DEFAULT_SHARES", "split_of"]

DEFAULT_SHARES: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
_RANGE = float(1 << 64)


def split_of(group: int, shares: Mapping[str, float] = DEFAULT_SHARES) -> str:
    """The split of a row.

    Args:
        group: `Example.group`.
        shares: by name, in order; they sum to 1. Making the first one smaller moves rows out of
            it, and none between the others' common part.

    Raises:
        DatasetInvalid: the shares do not sum to 1.
    """
    if abs(sum(shares.values()) - 1.0) > 1e-9 or any(each < 0 for each in shares.values()):
        raise DatasetInvalid(
            f"the shares of the splits sum to {sum(shares.values()):g}, not to 1",
            hint="such as train=0.9 validation=0.1",
        )
    place, upto = group / _RANGE, 0.0
    last = ""
    for name, share in shares.items():
        upto += share
        last = name if share else last
        if place < upto:
            return name
    return last

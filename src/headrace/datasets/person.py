"""Whom a row is about, and what its metadata says of them."""

from collections.abc import Iterable

from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.example import Example
from headrace.datasets.ladder import Value

__all__ = ["people_by", "person_of", "value_of"]


def person_of(row: Example, at: int, field: str) -> str:
    """What tells the row's person apart from others.

    Args:
        at: the row's place in its version.
        field: of the metadata, for rows that know no subject; empty: each of them is a person.
    """
    if row.provenance.subject:
        return f"subject {row.provenance.subject}"
    if field:
        # Those who are not named might all be the same one.
        return f"field {value_of(row, field, at)}"
    return f"row {at}"


def people_by(people: Iterable[str], field: str) -> str:
    """In words, what `person_of` told them apart by."""
    names = {"subject": "subject", "field": field, "row": "row"}
    kinds = {each.partition(" ")[0] for each in people}
    return ", else ".join(name for kind, name in names.items() if kind in kinds)


def value_of(row: Example, name: str, at: int) -> Value:
    """A field of the metadata; equal values are the same one however they are written.

    Raises:
        DatasetInvalid: it is a list or an object.
    """
    value = row.metadata.get(name)
    if isinstance(value, bool):  # else it equals a number
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise DatasetInvalid(
        f"row {at + 1}: {name!r} is no single value", hint="a text, a number, true or false"
    )

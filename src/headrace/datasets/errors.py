"""Failures of the datasets room.

HeadraceError
├── DatasetInvalid            rows cannot be trained on; every one is reported, with its line
│   └── GuaranteeUnreachable  the rows cannot be anonymised so far as was asked
├── DatasetUnreadable         a file cannot be read as rows at all, or stored rows are damaged
└── UnknownDataset            no dataset or version has that name
"""

from collections.abc import Collection
from typing import Self

from headrace.errors import HeadraceError, NotFound, did_you_mean

__all__ = ["DatasetInvalid", "DatasetUnreadable", "GuaranteeUnreachable", "UnknownDataset"]


class DatasetInvalid(HeadraceError):
    """Rows cannot be used as they are; nothing was taken."""

    code = "dataset_invalid"


class GuaranteeUnreachable(DatasetInvalid):
    """Rows cannot be anonymised as far as was asked; no version was made."""


class DatasetUnreadable(HeadraceError):
    """A file is no JSONL, CSV or Parquet, or what is stored was changed."""

    code = "dataset_unreadable"


class UnknownDataset(NotFound):
    """There is no dataset, or no version of it, by that name."""

    @classmethod
    def named(cls, name: str, known: Collection[str]) -> Self:
        return cls(f"there is no dataset {name!r}", hint=did_you_mean(name, known, kind="datasets"))

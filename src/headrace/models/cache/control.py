"""What a client says with `cache-control`, as far as it concerns a cache of answers.

`only-if-cached`, `min-fresh` and `max-stale` are not heeded.
Source: RFC 9111, section 5.2.1.
"""

from functools import lru_cache

import msgspec

__all__ = ["Control", "parse_control"]


class Control(msgspec.Struct, frozen=True):
    """What may be done for one request."""

    stores: bool = True
    """Its answer may be kept (no `no-store`)."""
    reads: bool = True
    """It may be given a kept answer (neither `no-store` nor `no-cache`)."""
    max_age_s: float | None = None
    """Oldest answer that it takes."""


@lru_cache(maxsize=256)
def parse_control(header: str) -> Control:
    """The directives of a header; what is not understood is passed over, as HTTP asks."""
    stores = reads = True
    max_age_s: float | None = None
    for directive in header.lower().split(","):
        name, _, value = directive.strip().partition("=")
        if name == "no-store":
            stores = reads = False
        elif name == "no-cache":
            reads = False
        elif name == "max-age" and (digits := value.strip('" ')).isascii() and digits.isdigit():
            max_age_s = float(digits[:12])
    return Control(stores, reads and max_age_s != 0, max_age_s)

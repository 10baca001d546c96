"""Failures of the answer cache.

HeadraceError
├── TooLittleTraffic   there is not enough to calibrate by
├── JudgeUnfit         the judge cannot tell right answers from wrong ones
└── SharedCacheAway    the Redis of cache.redis does not answer a person who asks
"""

from headrace.errors import HeadraceError

__all__ = ["JudgeUnfit", "SharedCacheAway", "TooLittleTraffic"]


class TooLittleTraffic(HeadraceError):
    """The traces hold too few questions that are near one another; says how many it takes."""

    code = "too_little_traffic"


class JudgeUnfit(HeadraceError):
    """The model that should judge answers fails on pairs of which the judgement is known."""

    code = "judge_unfit"


class SharedCacheAway(HeadraceError):
    """The Redis of `cache.redis` does not answer. (A turn takes that for a miss.)"""

    code = "shared_cache_away"

"""A test that may be looked at after every turn without growing false alarms.

The evidence against "the share of bad ones is at most `most`" is a likelihood ratio, mixed over all
larger shares. As long as the claim holds, the chance that it *ever* reaches 1/alpha is at most
alpha, however often one looks (Ville's inequality; Robbins, "Statistical Methods Related to the Law
of the Iterated Logarithm", 1970).
"""

import math

__all__ = ["evidence"]

_POINTS = 400


def evidence(bad: int, total: int, most: float) -> float:
    """The natural logarithm of the evidence that the share of bad ones is above `most`.

    Args:
        bad, total: bad ones among all.
        most: between 0 and 1.
    """
    if not total or bad <= most * total:
        return -math.inf
    under = bad * math.log(most) + (total - bad) * math.log1p(-most)
    width = (1 - most) / _POINTS
    logs = []
    for i in range(_POINTS):
        share = most + (i + 0.5) * width
        logs.append(bad * math.log(share) + (total - bad) * math.log1p(-share) - under)
    largest = max(logs)
    return largest + math.log(sum(math.exp(each - largest) for each in logs) / _POINTS)

"""Failures of the model box.

HeadraceError
└── WeightsUnavailable     the weights cannot be fetched, or are not the expected ones
"""

from headrace.errors import HeadraceError

__all__ = ["WeightsUnavailable"]


class WeightsUnavailable(HeadraceError):
    """The weights cannot be had: offline, not found, no space, or a checksum differs."""

    code = "weights_unavailable"

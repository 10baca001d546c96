"""What a client can act on when a policy asks.

PolicyBlocked
└── ConfirmationRequired   something was found that the user has to confirm
"""

from headrace.errors import PolicyBlocked

__all__ = ["ConfirmationRequired"]


class ConfirmationRequired(PolicyBlocked):
    """Something was found that the user has to confirm: the same request again, with the token."""

    code = "confirmation_required"
    confirmation = ""
    """The token: in the header `x-headrace-confirm`, or as `confirm` in the body's `metadata`."""

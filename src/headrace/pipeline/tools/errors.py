"""Why a tool gave nothing. Said to the model, which may go on without; never the user's error.

HeadraceError
├── ModelUnavailable
│   └── AddressRefused   a name leads to an address inside, and nobody has allowed it
└── ToolFailed           a call came to nothing; the message is for the model
    └── ToolUnavailable  the tool's server is not there
"""

from headrace.errors import HeadraceError, ModelUnavailable

__all__ = ["AddressRefused", "ToolFailed", "ToolUnavailable"]


class ToolFailed(HeadraceError):
    """A call came to nothing: wrong arguments, a time-out, a server's error."""

    code = "tool_failed"


class ToolUnavailable(ToolFailed):
    """The tool's server is not there; the service tries again by itself."""

    code = "tool_unavailable"


class AddressRefused(ModelUnavailable):
    """A tool's host leads to a private address that its `allow` does not name."""

    code = "address_refused"

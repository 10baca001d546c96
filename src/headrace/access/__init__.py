"""Access: who acts, and with which key. Read `principal.py`, then `keys.py`."""

from headrace.access.principal import Principal, RoleName

__all__ = ["Principal", "RoleName"]

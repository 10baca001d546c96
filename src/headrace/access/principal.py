"""Who acts: the principal behind a key."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Principal", "RoleName"]

RoleName: TypeAlias = Literal["admin", "user"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from. `key_id` is public (it appears in traces); the key is not."""

    key_id: str
    name: str
    role: RoleName
    team: str = ""
    """The team that the key belongs to, for limits; empty for none."""

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

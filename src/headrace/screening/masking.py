"""Reversible masking: the model sees `<EMAIL_1>`, the user gets the address back."""


class MaskTable:
    """Placeholders of one turn, both ways. Equal values of a kind share a placeholder."""

    __slots__ = ("_by_placeholder", "_by_value", "_counts")

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], str] = {}
        self._by_placeholder: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __bool__(self) -> bool:
        return bool(self._by_placeholder)

    def placeholder(self, kind: str, value: str) -> str:
        """The placeholder for `value`, made on first use: `<KIND_n>`, n counting from 1."""
        key = (kind, value)
        known = self._by_value.get(key)
        if known is not None:
            return known
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        placeholder = f"<{kind.upper()}_{count}>"
        self._by_value[key] = placeholder
        self._by_placeholder[placeholder] = value
        return placeholder

    def value(self, placeholder: str) -> str | None:
        """What the placeholder stands for, or None if it is not one of this turn's."""
        return self._by_placeholder.get(placeholder)

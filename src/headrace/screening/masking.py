"""Reversible masking: the model sees `<EMAIL_1>`, the user gets the address back."""

from collections.abc import Collection, Iterable

from headrace.screening.placeholder import find_placeholders, placeholder_name

__all__ = ["MaskTable"]


class MaskTable:
    """Placeholders of one turn, both ways. Equal values of a kind share a placeholder."""

    __slots__ = ("_by_placeholder", "_by_value", "_counts", "_reserved")

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], str] = {}
        self._by_placeholder: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._reserved: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._by_placeholder)

    def placeholder(self, kind: str, value: str) -> str:
        """The placeholder for `value`, made on first use: `<KIND_n>`, n counting from 1."""
        key = (kind, value)
        known = self._by_value.get(key)
        if known is not None:
            return known
        name = placeholder_name(kind)
        while True:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            placeholder = f"<{name}_{count}>"
            if placeholder not in self._reserved:
                break
        self._by_value[key] = placeholder
        self._by_placeholder[placeholder] = value
        return placeholder

    @property
    def names(self) -> Collection[str]:
        """The kinds in use, as they are written in placeholders."""
        return self._counts.keys()

    def value(self, placeholder: str) -> str | None:
        """What the placeholder stands for, or None if it is not one of this turn's."""
        return self._by_placeholder.get(placeholder)

    def hide(self, text: str) -> str:
        """The text with every value that is masked in this turn as its placeholder again."""
        for placeholder, value in sorted(self._by_placeholder.items(), key=lambda e: -len(e[1])):
            text = text.replace(value, placeholder)
        return text

    def reserve(self, texts: Iterable[str]) -> None:
        """Never give out what the conversation already says by itself.

        Someone who writes `<EMAIL_1>` must get `<EMAIL_1>` back, not another's address.
        """
        for text in texts:
            for written in find_placeholders(text):
                if written.placeholder not in self._by_placeholder:
                    self._reserved.add(written.placeholder)

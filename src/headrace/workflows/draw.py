"""A graph as text: boxes in layers, lines between them."""

from collections.abc import Mapping, Sequence

from headrace.workflows.layout import Bend, Layout, Place, make_layout

__all__ = ["draw"]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES = {
    _UP | _DOWN: "│", _LEFT | _RIGHT: "─", _UP | _RIGHT: "└", _UP | _LEFT: "┘",
    _DOWN | _RIGHT: "┌", _DOWN | _LEFT: "┐", _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤",
    _UP | _LEFT | _RIGHT: "┴", _DOWN | _LEFT | _RIGHT: "┬", _UP | _DOWN | _LEFT | _RIGHT: "┼",
    _UP: "│", _DOWN: "│", _LEFT: "─", _RIGHT: "─",
}  # fmt: skip
_ASCII = {"│": "|", "─": "-", "╭": "+", "╮": "+", "╰": "+", "╯": "+"}
GAP = 3
"""Cells between two boxes."""


def draw(
    needs: Mapping[str, Sequence[str]], labels: Mapping[str, str], *, ascii_only: bool = False
) -> list[str]:
    """The graph, line by line.

    Args:
        labels: what stands in each box, one line, of single-width characters.
    """
    layout = make_layout(needs)
    centres, width = _centres(layout, labels)
    lines: list[str] = []
    for depth, layer in enumerate(layout.layers):
        boxes = _Canvas(width)
        for place in layer:
            x = centres[depth, place]
            if isinstance(place, Bend):
                for row in range(3):
                    boxes.line(x, row, _UP | _DOWN)
            else:
                has_above = any(target == place for _, target in layout.edges)
                has_below = any(source == place for source, _ in layout.edges)
                boxes.box(x, labels[place], above=has_above, below=has_below)
        lines += boxes.text(3)
        if depth + 1 < len(layout.layers):
            lines += _joints(layout, depth, centres, width)
    if ascii_only:
        table = {ord(each): "+" for each in _LINES.values()} | {
            ord(each): to for each, to in _ASCII.items()
        }
        lines = [line.translate(table) for line in lines]
    return [line.rstrip() for line in lines]


def _centres(
    layout: Layout, labels: Mapping[str, str]
) -> tuple[dict[tuple[int, object], int], int]:
    widths = [
        [1 if isinstance(place, Bend) else len(labels[place]) + 4 for place in layer]
        for layer in layout.layers
    ]
    totals = [sum(each) + GAP * max(len(each) - 1, 0) for each in widths]
    width = max(totals, default=0) + 1
    found: dict[tuple[int, object], int] = {}
    for depth, layer in enumerate(layout.layers):
        x = (width - totals[depth]) // 2
        for place, wide in zip(layer, widths[depth], strict=True):
            # Alone, it stands in the very middle: one below the other, without a kink.
            found[depth, place] = width // 2 if len(layout.layers[depth]) == 1 else x + wide // 2
            x += wide + GAP
    return found, width


def _joints(
    layout: Layout, depth: int, centres: Mapping[tuple[int, object], int], width: int
) -> list[str]:
    """The lines between one layer and the next; each place that is bent away has its own."""
    targets: dict[Place, list[int]] = {}
    for place in layout.layers[depth]:
        targets[place] = [
            centres[depth + 1, target]
            for source, target in layout.edges
            if source == place and (depth + 1, target) in centres
        ]
    bent = [p for p, to in targets.items() if any(x != centres[depth, p] for x in to)]
    height = max(len(bent), 1)
    canvas = _Canvas(width)
    for place, to in targets.items():
        x = centres[depth, place]
        row = bent.index(place) if place in bent else height
        for above in range(min(row, height) if to else 0):
            canvas.line(x, above, _UP | _DOWN)
        if place not in bent:
            continue
        left, right = min((x, *to)), max((x, *to))
        canvas.line(x, row, _UP)
        for at in range(left, right + 1):
            ways = (_LEFT if at > left else 0) | (_RIGHT if at < right else 0)
            canvas.line(at, row, ways)
        for at in to:
            canvas.line(at, row, _DOWN)
            for below in range(row + 1, height):
                canvas.line(at, below, _UP | _DOWN)
    return canvas.text(height)


class _Canvas:
    """Some rows of cells; lines that meet are joined."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._ways: dict[tuple[int, int], int] = {}
        self._letters: dict[tuple[int, int], str] = {}

    def line(self, x: int, y: int, ways: int) -> None:
        self._ways[x, y] = self._ways.get((x, y), 0) | ways

    def box(self, x: int, label: str, *, above: bool, below: bool) -> None:
        wide = len(label) + 4
        left = x - wide // 2
        top = "╭" + "─" * (wide - 2) + "╮"
        bottom = "╰" + "─" * (wide - 2) + "╯"
        for row, text in enumerate((top, f"│ {label} │", bottom)):
            for i, letter in enumerate(text):
                self._letters[left + i, row] = letter
        if above:
            self._letters[x, 0] = "┴"
        if below:
            self._letters[x, 2] = "┬"

    def text(self, height: int) -> list[str]:
        return ["".join(self._cell(x, y) for x in range(self._width)) for y in range(height)]

    def _cell(self, x: int, y: int) -> str:
        if (x, y) in self._letters:
            return self._letters[x, y]
        return _LINES.get(self._ways.get((x, y), 0), " ")

"""A workflow's graph as an SVG: boxes in layers, curves between them.

Only places are computed here: colours are the style sheet's, by each box's status, because the
page's security policy allows no inline styles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from headrace.workflows.layout import Bend, Layout, Place, make_layout

__all__ = ["Box", "Graph"]

LETTER = 7.3
"""Width of a letter of the box's font, in pixels; a wide sign takes two."""
PADDING = 14.0
HEIGHT = 46.0
GAP_X = 26.0
GAP_Y = 40.0
MARGIN = 8.0
NARROWEST = 90.0


@dataclass(frozen=True, slots=True)
class Box:
    """One step."""

    name: str
    detail: str
    status: str
    x: float
    y: float
    width: float
    height: float = HEIGHT


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything the drawing needs."""

    boxes: list[Box]
    curves: list[str]
    """SVG paths."""
    width: float
    height: float

    @classmethod
    def of(
        cls,
        needs: Mapping[str, Sequence[str]],
        details: Mapping[str, str],
        statuses: Mapping[str, str],
    ) -> "Graph":
        layout = make_layout(needs)
        widths = {name: _width(name, details[name]) for name in needs}
        centres, width = _centres(layout, widths)
        boxes = [
            Box(
                name=place,
                detail=details[place],
                status=statuses.get(place, "pending"),
                x=round(centres[place] - widths[place] / 2, 1),
                y=_top(depth),
                width=round(widths[place], 1),
            )
            for depth, layer in enumerate(layout.layers)
            for place in layer
            if not isinstance(place, Bend)
        ]
        depths = {place: depth for depth, layer in enumerate(layout.layers) for place in layer}
        curves = [
            _curve(
                centres[source], centres[target], depths[source], is_bend=isinstance(target, Bend)
            )
            for source, target in layout.edges
        ]
        height = _top(len(layout.layers)) - GAP_Y + MARGIN
        return cls(boxes, curves, round(width, 1), height)


def _width(name: str, detail: str) -> float:
    longest = max(_cells(name), _cells(detail))
    return max(longest * LETTER + 2 * PADDING, NARROWEST)


def _cells(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def _top(depth: int) -> float:
    return MARGIN + depth * (HEIGHT + GAP_Y)


def _centres(layout: Layout, widths: Mapping[str, float]) -> tuple[dict[Place, float], float]:
    def wide(place: Place) -> float:
        return 0.0 if isinstance(place, Bend) else widths[place]

    totals = [sum(map(wide, layer)) + GAP_X * max(len(layer) - 1, 0) for layer in layout.layers]
    whole = max(totals, default=0.0)
    found: dict[Place, float] = {}
    for layer, total in zip(layout.layers, totals, strict=True):
        x = MARGIN + (whole - total) / 2
        for place in layer:
            found[place] = x + wide(place) / 2
            x += wide(place) + GAP_X
    return found, whole + 2 * MARGIN


def _curve(x: float, to_x: float, depth: int, *, is_bend: bool) -> str:
    """From the lower edge of one box to the upper edge of another; past a bend, straight on."""
    y, to_y = _top(depth) + HEIGHT, _top(depth + 1)
    middle = (y + to_y) / 2
    past = f" V{to_y + HEIGHT:.1f}" if is_bend else ""
    return f"M{x:.1f} {y:.1f} C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}{past}"

"""Graphs as text: every step is there, below what it needs, and joined to it."""

from hypothesis import given

from headrace.workflows.draw import draw
from headrace.workflows.layout import Bend, make_layout
from tests.workflows.graph import graphs


def test_a_graph_is_drawn() -> None:
    needs = {"data": [], "train": ["data"], "base": [], "gate": ["train", "base", "data"]}
    assert "\n".join(draw(needs, {name: name for name in needs})) == (
        """\
╭──────╮   ╭──────╮
│ data │   │ base │
╰───┬──╯   ╰───┬──╯
    └──┐       │
   ╭───┴───╮   │
   │ train │   │
   ╰───┬───╯   │
       └──┐    │
          ├────┘
      ╭───┴──╮
      │ gate │
      ╰──────╯"""
    )


@given(needs=graphs())
def test_every_step_stands_below_those_it_needs_and_can_be_reached_from_them(
    needs: dict[str, list[str]],
) -> None:
    layout = make_layout(needs)
    depth = {
        place: i
        for i, layer in enumerate(layout.layers)
        for place in layer
        if not isinstance(place, Bend)
    }
    assert sorted(depth) == sorted(needs)
    assert all(depth[need] < depth[name] for name in needs for need in needs[name])
    below: dict[object, set[object]] = {}
    for source, target in layout.edges:
        below.setdefault(source, set()).add(target)

    def reach(place: object) -> set[object]:
        found = set(below.get(place, ()))
        return found.union(*map(reach, found))

    assert all(name in reach(need) for name in needs for need in needs[name])
    lines = draw(needs, {name: name for name in needs}, ascii_only=True)
    text = "\n".join(lines)
    assert all(f" {name} " in text for name in needs)
    assert text.isascii()

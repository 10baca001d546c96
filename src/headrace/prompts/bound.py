"""How much one rendering may do: steps of loops, characters, and time.

A prompt renders on the event loop, with values that strangers send. Jinja itself knows no limit:
loops inside loops over one list of a hundred come to any number of steps, and `a + a` twenty times
makes a million of one. So a text's syntax tree is changed when it is compiled: each loop counts
what it is given, and whatever makes a longer text out of shorter ones says how long it will be.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from jinja2 import nodes, pass_context
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

__all__ = ["BUDGET", "Budget", "OutOfBounds", "added", "joined", "looped", "replaced", "tree_of"]

MAX_STEPS: Final = 50_000
"""Steps of all loops together. The longest list that a variable may be has 10,000 items."""
MAX_CHARS: Final = 2_000_000
"""Characters that a text may grow by, over what it was given."""
MAX_S: Final = 1.0
"""Seconds. Half a million times what an ordinary template takes, so no busy machine meets it."""

BUDGET: Final = "headrace_budget"
"""Under which name a rendering finds its budget; no variable can be called so in a prompt."""
_LOOP_FILTER: Final = "headrace_looped"


class OutOfBounds(Exception):
    """A rendering did more than it may; the message says of what."""


class Budget:
    """What is left for one rendering."""

    __slots__ = ("_chars", "_steps", "_until")

    def __init__(self, values: Mapping[str, object]) -> None:
        given = sum(len(each) for each in values.values() if isinstance(each, str))
        self._chars = MAX_CHARS + 2 * given
        self._steps = MAX_STEPS
        self._until = time.perf_counter() + MAX_S

    def step(self, count: int) -> None:
        """Take steps; raises OutOfBounds when there are none left."""
        self._steps -= count
        if self._steps < 0:
            raise OutOfBounds(f"its loops come to more than {MAX_STEPS:,} steps")

    def look(self) -> None:
        """Raises OutOfBounds when the time is up."""
        if time.perf_counter() > self._until:
            raise OutOfBounds(f"it takes longer than {MAX_S:g} s")

    def write(self, chars: int) -> None:
        """Take characters; raises OutOfBounds when there are none left."""
        self._chars -= chars
        if self._chars < 0:
            raise OutOfBounds(f"it makes more than {MAX_CHARS:,} characters")


class _Bounds(NodeTransformer):
    """Puts a counter on every loop, and lets `~` be added up like `+`, which is watched."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802  # Jinja's name
        self.generic_visit(node)
        counted = nodes.Filter(node.iter, _LOOP_FILTER, [], [], None, None, lineno=node.iter.lineno)
        if node.environment is not None:
            counted.set_environment(node.environment)
        node.iter = counted
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:  # noqa: N802  # Jinja's name
        self.generic_visit(node)
        texts = [
            nodes.Filter(each, "string", [], [], None, None, lineno=node.lineno)
            for each in node.nodes
        ]
        total: nodes.Expr = texts[0]
        for each in texts[1:]:
            total = nodes.Add(total, each, lineno=node.lineno)
        if node.environment is not None:
            total.set_environment(node.environment)
        return total


def tree_of(tree: nodes.Template) -> nodes.Template:
    """The tree with its bounds; the one given is changed."""
    changed = _Bounds().visit(tree)
    assert isinstance(changed, nodes.Template)
    return changed


@pass_context
def looped(context: Context, value: Iterable[object]) -> Iterator[object]:
    """What a loop goes over: counted before its first step, the clock looked at before each."""
    items = value if isinstance(value, list | tuple | str) else list(value)
    budget = _budget(context)
    budget.step(len(items))
    for item in items:
        budget.look()
        yield item


def added(context: Context, left: object, right: object) -> None:
    """Look at an addition before it is done; raises OutOfBounds."""
    if isinstance(left, str | list) and isinstance(right, str | list):
        budget = _budget(context)
        budget.look()
        budget.write(len(left) + len(right))


@pass_context
def joined(context: Context, value: Iterable[object], d: str = "", attribute: None = None) -> str:
    """Jinja's `join`, for texts, and counted before it is done."""
    del attribute
    texts = ["" if each is None else str(each) for each in value]
    _budget(context).write(sum(map(len, texts)) + len(str(d)) * len(texts))
    return str(d).join(texts)


@pass_context
def replaced(context: Context, s: object, old: object, new: object, count: int = -1) -> str:
    """Jinja's `replace`, counted before it is done."""
    text, old, new = str(s), str(old), str(new)
    times = text.count(old) if count < 0 else min(count, text.count(old))
    _budget(context).write(len(text) + times * len(new))
    return text.replace(old, new, count)


def _budget(context: Context) -> Budget:
    budget = context.get(BUDGET)
    assert isinstance(budget, Budget)
    return budget

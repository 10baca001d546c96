"""Random graphs for tests: steps whose needs always lie before them."""

from hypothesis import strategies as st

from headrace.workflows.file import StepFile
from headrace.workflows.plan import Plan, make_plan

__all__ = ["graphs", "plan_of"]


@st.composite
def graphs(draw: st.DrawFn, most: int = 9) -> dict[str, list[str]]:
    """Needs by name; the order of the names is a random one, not that of the needs."""
    count = draw(st.integers(1, most))
    names = [f"s{i}" for i in range(count)]
    needs = {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        for i, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


def plan_of(needs: dict[str, list[str]], always: frozenset[str] = frozenset()) -> Plan:
    """A plan of steps that do not matter."""
    files = {name: StepFile(operation="run", always=name in always) for name in needs}
    return make_plan(files, needs, {})

"""The steps of one run: matrices written out, in an order in which each finds what it needs."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from headrace.workflows.expression import ExpressionError, rendered
from headrace.workflows.file import Scalar, StepFile

__all__ = ["MOST_STEPS", "Cycle", "Plan", "PlannedStep", "make_plan", "matching", "ordered"]

MOST_STEPS = 10_000
"""Of one run; a matrix multiplies quickly."""


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step of a run: of a matrix, one combination."""

    id: str
    """The step's name, with the combination: `train[rank=8,seed=1]`."""
    name: str
    file: StepFile
    matrix: Mapping[str, Scalar]
    needs: tuple[str, ...]
    """Ids of the steps that must have ended before."""


@dataclass(frozen=True)
class Plan:
    """Every step of a run, each behind those that it needs."""

    steps: Sequence[PlannedStep] = field(default_factory=tuple)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {step.id: place for place, step in enumerate(self.steps)}

    @cached_property
    def _by_name(self) -> dict[str, list[PlannedStep]]:
        found: dict[str, list[PlannedStep]] = {}
        for step in self.steps:
            found.setdefault(step.name, []).append(step)
        return found

    def place(self, step_id: str) -> int:
        """Where the step stands in the order."""
        return self._places[step_id]

    def step(self, step_id: str) -> PlannedStep:
        return self.steps[self._places[step_id]]

    def named(self, name: str) -> Sequence[PlannedStep]:
        """Every combination of a step."""
        return self._by_name[name]


def make_plan(
    steps: Mapping[str, StepFile],
    needs: Mapping[str, Sequence[str]],
    variables: Mapping[str, object],
) -> Plan:
    """Write the steps out.

    Args:
        needs: by each step's name, the names of those it needs, without cycles.
        variables: what a matrix that is an expression is made of.

    Raises:
        ExpressionError: a matrix comes to no list, or to too many steps.
    """
    planned: dict[str, list[PlannedStep]] = {}
    count = 0
    for name in ordered(needs):
        combinations = _combinations(steps[name], variables)
        count += len(combinations)
        if count > MOST_STEPS:
            raise ExpressionError(f"the steps come to more than {MOST_STEPS:,}")
        planned[name] = [
            PlannedStep(
                id=_id(name, matrix),
                name=name,
                file=steps[name],
                matrix=matrix,
                needs=tuple(
                    before.id
                    for need in needs[name]
                    for before in matching(planned[need], steps[need], matrix)
                ),
            )
            for matrix in combinations
        ]
    return Plan(tuple(itertools.chain.from_iterable(planned.values())))


def matching(
    of: Sequence[PlannedStep], file: StepFile, matrix: Mapping[str, Scalar]
) -> Sequence[PlannedStep]:
    """The combinations that a step of this matrix sees: the one of its own values, if it has them."""
    if file.matrix and all(name in matrix for name in file.matrix):
        found = [e for e in of if all(matrix[name] == e.matrix[name] for name in e.matrix)]
        return found or of
    return of


def ordered(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """The names, each behind those it needs, else in the order given.

    Raises:
        Cycle: there is none.
    """
    done: dict[str, None] = {}
    way: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in way:
            raise Cycle([*way[way.index(name) :], name])
        way.append(name)
        for need in needs[name]:
            visit(need)
        way.pop()
        done[name] = None

    for name in needs:
        visit(name)
    return list(done)


class Cycle(ValueError):
    """Steps that wait for each other."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(" → ".join(names))
        self.names = list(names)


def _combinations(file: StepFile, variables: Mapping[str, object]) -> list[dict[str, Scalar]]:
    axes: list[list[tuple[str, Scalar]]] = []
    for name, values in file.matrix.items():
        found = rendered(values, {"vars": variables})
        if not isinstance(found, list) or not found:
            raise ExpressionError(
                f"the matrix value {name!r} comes to no list with something in it"
            )
        if len({repr(each) for each in found}) != len(found):
            raise ExpressionError(f"the matrix value {name!r} holds something twice")
        axes.append([(name, each) for each in found])
    return [dict(each) for each in itertools.product(*axes)]


def _id(name: str, matrix: Mapping[str, Scalar]) -> str:
    if not matrix:
        return name
    return f"{name}[{','.join(f'{key}={value}' for key, value in matrix.items())}]"

"""What a workflow adds to a step, beside DBOS alone, in the same run.

    .venv/bin/python bench/loop/workflow.py [--steps 300] [--rounds 3]

Steps do nothing. Each row is the time of a whole run divided by its steps: a chain, where each
waits for the one before, and a fan, where four are under way at once. Bare DBOS runs the same
number of empty steps in one workflow, on a file in WAL mode as ours is.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

NOTHING = '''"""An operation that does nothing."""
from headrace.workflows.operation import Operation


class Nothing(Operation):
    """Does nothing."""

    returns = ("n",)

    def run(self, settings, context):
        return {"n": 1}
'''


def install_operation(folder: Path) -> None:
    """As a package brings it: a module, and an entry point."""
    (folder / "bench_nothing.py").write_text(NOTHING)
    info = folder / "bench_nothing-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-nothing\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[headrace.operations]\nnothing = bench_nothing:Nothing\n"
    )
    sys.path.insert(0, str(folder))


def workflow_text(steps: int, *, chain: bool) -> str:
    lines = ["steps:"]
    for i in range(steps):
        needs = f"[s{i - 1}]" if chain and i else "[]"
        lines.append(f"  s{i}: {{operation: nothing, needs: {needs}, cache: false}}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        install_operation(folder)
        measure(folder, given.steps, given.rounds)


def measure(folder: Path, steps: int, rounds: int) -> None:
    from dbos import DBOS, SetWorkflowID

    from headrace.ids import new_id
    from headrace.storage.database import Database
    from headrace.workflows.engine import open_engine
    from headrace.workflows.step import Place
    from headrace.workflows.workflow import find_workflow

    @DBOS.step()
    def nothing() -> int:
        return 1

    @DBOS.workflow()
    def bare(count: int) -> int:
        return sum(nothing() for _ in range(count))

    home = folder / ".headrace"
    home.mkdir()
    (folder / "workflows").mkdir()
    (folder / "workflows" / "chain.yaml").write_text(workflow_text(steps, chain=True))
    (folder / "workflows" / "fan.yaml").write_text(workflow_text(steps, chain=False))
    database = Database.open(home / "state.db")
    place = Place(root=folder, home=home, environ=os.environ)
    print(f"{steps} empty steps, ms a step: median and range of {rounds} rounds")
    with open_engine(database, place) as engine:
        found: dict[str, list[float]] = {"DBOS alone": [], "chain": [], "fan": []}
        for _ in range(rounds + 1):
            began = time.perf_counter()
            with SetWorkflowID(new_id()):
                bare(steps)
            found["DBOS alone"].append(time.perf_counter() - began)
            for name in ("chain", "fan"):
                run = engine.store.create(find_workflow(name, folder, os.environ), {})
                while not (ended := engine.store.get(run.id)).has_ended:
                    time.sleep(0.01)
                assert ended.status == "succeeded", ended.error
                assert ended.started_at is not None
                assert ended.ended_at is not None
                found[name].append(ended.ended_at - ended.started_at)
    database.close()
    for name, seconds in found.items():
        # The first round fills caches and imports.
        each = sorted(1000 * s / steps for s in seconds[1:])
        print(f"{name:<12}{each[len(each) // 2]:>8.2f}  ({each[0]:.2f} to {each[-1]:.2f})")


if __name__ == "__main__":
    main()

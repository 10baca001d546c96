"""PyTorch stays in the process that trains: importing it takes seconds and a gigabyte."""

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "headrace"
HEAVY = {"accelerate", "bitsandbytes", "datasets", "opacus", "peft", "torch", "transformers", "trl"}


def imported_at_once(module: ast.Module) -> set[str]:
    """Top-level packages that importing the module imports."""
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_only_the_training_process_imports_pytorch() -> None:
    heavy = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if imported_at_once(ast.parse(path.read_text("utf-8"))) & HEAVY
    }
    assert heavy
    assert {each for each in heavy if not each.startswith("training/process/")} == set()


def test_only_the_worker_imports_that_folder() -> None:
    users = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if "headrace.training.process" in path.read_text("utf-8")
    }
    outside = {each for each in users if not each.startswith("training/process/")}
    assert outside == {"training/worker.py"}

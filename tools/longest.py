"""Prints the longest files, functions, parameter lists and elif chains of the source tree.

Nothing fails here: each line is a question (is this still one thing?), asked while it is small.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
MOST = 10

Row = tuple[int, str]


def main() -> int:
    files: list[Row] = []
    functions: list[Row] = []
    parameters: list[Row] = []
    chains: list[Row] = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        name = path.relative_to(SOURCE).as_posix()
        files.append((text.count("\n"), name))
        for node in ast.walk(ast.parse(text)):
            where = f"{name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                functions.append((length, f"{where} {node.name}"))
                parameters.append((len(list(_parameters(node))), f"{where} {node.name}"))
            elif isinstance(node, ast.If):
                chains.append((_chain(node), where))
    for title, rows in (
        ("longest files (lines)", files),
        ("longest functions (lines)", functions),
        ("most parameters", parameters),
        ("longest if/elif chains (branches)", chains),
    ):
        sys.stdout.write(f"\n{title}\n")
        for size, where in sorted(rows, reverse=True)[:MOST]:
            sys.stdout.write(f"{size:6d}  {where}\n")
    return 0


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.arg]:
    arguments = node.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if each.arg not in ("self", "cls"):
            yield each


def _chain(node: ast.If) -> int:
    count = 1
    while len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        node = node.orelse[0]
        count += 1
    return count


if __name__ == "__main__":
    sys.exit(main())

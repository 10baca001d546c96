"""Imports only go down the layers (pyproject.toml), and heavy ones wait until they are needed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_imports_go_down_the_layers() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import headrace", ["msgspec", "asyncio", "sqlalchemy", "httpx", "jinja2", "rich"]),
        (
            "import headrace.config.load",
            ["sqlalchemy", "httpx", "jinja2", "rich", "cryptography", "xllamacpp", "uvicorn"],
        ),
        (
            "import headrace.server.run",
            ["alembic", "httpx", "xllamacpp", "symspellpy", "jsonschema_rs", "torch", "rich"],
        ),
    ],
)
def test_an_import_stays_light(code: str, heavy: list[str]) -> None:
    script = f"import sys\n{code}\nprint([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

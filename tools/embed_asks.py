"""Write the vectors of the built-in templates' questions, which come with the package.

    .venv/bin/python tools/embed_asks.py --home .cache/headrace

To be run when a built-in `scenario.asks` or the built-in embedding model changes; a test says so.
Without it the service computes them when it loads, which takes some seconds.
"""

import argparse
import asyncio
import os
from pathlib import Path

import numpy as np

from headrace.models.embedder import open_embedder
from headrace.prompts.choice.gram import heart
from headrace.prompts.library import builtin_templates
from headrace.prompts.vector import SHIPPED, key_of

PATH = Path(__file__).parent.parent / "src" / "headrace" / "prompts" / "choice" / SHIPPED


async def write(home: Path) -> None:
    templates = builtin_templates().values()
    texts = sorted({heart(ask) for each in templates for ask in each.file.scenario.asks})
    name = "embedding-multilingual"
    async with open_embedder(Path("/nonexistent"), home, os.environ, name=name) as embedder:
        rows = await embedder.embed(texts, kind="query")
        scaled = rows / np.abs(rows).max(axis=1, keepdims=True) * 127
        keys = np.frombuffer(b"".join(map(key_of, texts)), np.uint8).reshape(-1, 16)
        np.savez_compressed(
            PATH, embedder=np.array(embedder.id), keys=keys, rows=np.rint(scaled).astype(np.int8)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="holds models/")
    asyncio.run(write(parser.parse_args().home.resolve()))


if __name__ == "__main__":
    main()

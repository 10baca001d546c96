"""Taking rows into a dataset, beside copying the same file line by line.

    python bench/datasets.py [--rows 200000]

Prints rows per second of reading (parsing and checking), of adding (which also seals, compresses and
looks for duplicates), and of decoding the same lines into dictionaries, which any reader must;
and the most memory the process had.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.datasets.source import SourceFile, read_file
from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database

ANSWER = "The wheel of the mill is seven metres high and turns six times a minute. " * 4


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=200_000)
    count = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for i in range(count):
                row = {"prompt": f"How high is wheel {i}?", "completion": f"{i}: {ANSWER}"}
                file.write(json.dumps(row) + "\n")
        database = Database.open(Path(folder) / "state.db")
        store = DatasetStore(database, Vault.open(database, Path(folder)), Path(folder))
        bare = rate(lambda: decode(path), count)
        reading = rate(lambda: sum(1 for _ in read_file(SourceFile(path))), count)
        adding = rate(lambda: store.add("bench", read_file(SourceFile(path)), what="bench"), count)
        version = store.get("bench")
        again = rate(lambda: sum(1 for _ in store.rows(version)), count)
        splits = rate(lambda: store.split_sizes(version, {"train": 0.9, "test": 0.1}), count)
        database.close()
        print(
            f"{count:,} rows, {path.stat().st_size / 1e6:.0f} MB; kept {version.bytes / 1e6:.0f} MB"
        )
    print(f"decode alone  {bare:10,.0f} rows/s")
    print(f"read          {reading:10,.0f} rows/s  {reading / bare:.2f} of it")
    print(f"add           {adding:10,.0f} rows/s  {adding / bare:.2f} of it")
    print(f"read again    {again:10,.0f} rows/s")
    print(f"split sizes   {splits:10,.0f} rows/s")
    print(f"most memory   {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10,.0f} MB")


def decode(path: Path) -> int:
    decoder = msgspec.json.Decoder()
    with path.open("rb") as file:
        return sum(1 for line in file if decoder.decode(line))


def rate(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

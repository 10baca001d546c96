"""Ids: their form, their order, and that no two are alike, whoever makes them."""

import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

from headrace.ids import new_id

MORE_THAN_ARE_DRAWN_AT_ONCE = 1000
FORKING = """
import os
from headrace.ids import new_id

new_id()
is_parent = os.fork()
if is_parent:
    os.wait()
print(new_id()[19:], flush=True)
"""


def test_an_id_is_a_uuid_of_version_seven() -> None:
    for _ in range(MORE_THAN_ARE_DRAWN_AT_ONCE):
        text = new_id()
        assert str(uuid.UUID(text)) == text
        assert text[14] == "7"
        assert text[19] in "89ab"


def test_ids_of_one_process_increase() -> None:
    made = [new_id() for _ in range(MORE_THAN_ARE_DRAWN_AT_ONCE)]
    assert made == sorted(set(made))


def test_threads_never_make_the_same_one() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_id(), range(10 * MORE_THAN_ARE_DRAWN_AT_ONCE)))
    assert len(set(made)) == len(made)


def test_the_random_part_of_ids_is_not_repeated() -> None:
    made = {new_id()[19:] for _ in range(MORE_THAN_ARE_DRAWN_AT_ONCE)}
    assert len(made) == MORE_THAN_ARE_DRAWN_AT_ONCE


def test_a_forked_process_draws_on_its_own() -> None:
    # In a process without other threads: forking this one may lock up whatever they hold.
    done = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=True
    )
    parent, child = done.stdout.split()
    assert len(parent) == len(child) == len("89ab-0123456789ab")
    assert parent != child

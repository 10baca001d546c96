"""The adapters of a release: LoRA weights that its models name in the registry (`registry:sha256:…`).

Nobody can fetch them by their reference, so a release names their files by checksum in its manifest, and
they travel with it. Cards and dates stay behind: the same service gives the same release.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.config.model import ModelConfig
from headrace.errors import NotFound
from headrace.models.adapted import REGISTRY
from headrace.models.adapter import ADAPTERS, Adapter, AdapterStore
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.lock import sha256_of
from headrace.releases.manifest import AdapterEntry, FileEntry

__all__ = ["adapter_files", "adapters_of", "check_adapters", "fetch_adapter", "take_adapter"]

_FILES = ("adapter.gguf", "adapter_config.json", "adapter_model.safetensors")
"""What runtimes load."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def adapters_of(models: Iterable[ModelConfig], home: Path) -> list[AdapterEntry]:
    """What these models name in the registry, by digest.

    Raises:
        ConfigError: one is named otherwise: a name may mean another adapter tomorrow.
        NotFound: one is not there.
    """
    store = AdapterStore(home)
    found: dict[str, Adapter] = {}
    for each in models:
        if each.adapter is None or not each.adapter.adapter.startswith(REGISTRY):
            continue
        named = each.adapter.adapter.removeprefix(REGISTRY)
        adapter = store.get(named)
        if named != adapter.digest:
            raise each.node.error(
                f"a release names its adapters by their whole digest, and {named!r} is none",
                "adapter",
                hint=f"write {REGISTRY}{adapter.digest}",
            )
        found[adapter.digest] = adapter
    return [_entry(found[digest]) for digest in sorted(found)]


def adapter_files(entry: AdapterEntry, home: Path) -> Iterator[tuple[FileEntry, Path]]:
    """Each file of an adapter, and where it lies here.

    Raises:
        ReleaseInvalid: one is missing or altered.
    """
    try:
        folder = Path(AdapterStore(home).get(entry.digest).path)
    except NotFound as error:
        raise ReleaseInvalid(
            f"the adapter {entry.digest} of the release is not here",
            hint="`headrace release export` the release where it was built and `import` it here: "
            "that brings it, once the release is trusted",
        ) from error
    for each in entry.files:
        path = folder / each.path
        if not path.is_file() or sha256_of(path) != each.sha256:
            raise ReleaseInvalid(
                f"{path} is not the adapter's file that the release was built with",
                hint="take the folder away, then import or unpack the release again",
            )
        yield each, path


def check_adapters(entries: Iterable[AdapterEntry], home: Path) -> None:
    """
    Raises:
        ReleaseInvalid: a file of one is missing or altered.
    """
    for entry in entries:
        for _ in adapter_files(entry, home):
            pass


def take_adapter(entry: AdapterEntry, source: Callable[[FileEntry], Path], home: Path) -> None:
    """Keep an adapter that came with a release which is trusted; one that is here stays as it is.

    Args:
        source: where each of its files lies.

    Raises:
        ReleaseInvalid: a file is missing, or not the one of the release; nothing is kept then.
    """
    if not _DIGEST.fullmatch(entry.digest):  # it names a folder
        raise ReleaseInvalid(f"{entry.digest!r} is no adapter's digest")
    about = Adapter(
        digest=entry.digest, name=entry.name, base=entry.base, base_sha256=entry.base_sha256
    )
    with _staged(home) as folder:
        for each in entry.files:
            if each.path not in _FILES:
                raise ReleaseInvalid(f"{each.path!r} is no file of an adapter")
            try:
                shutil.copyfile(source(each), folder / each.path)
            except OSError as error:
                raise ReleaseInvalid(f"{error.filename}: {error.strerror}") from error
            if sha256_of(folder / each.path) != each.sha256:
                raise ReleaseInvalid(f"{source(each)} was altered", hint="export the release again")
        AdapterStore(home).put(about, folder)


def fetch_adapter(entry: AdapterEntry, fetch: Callable[[str, Path], bool], home: Path) -> None:
    """Take an adapter of a release that is trusted from where gateways share files, if it is not here.

    Args:
        fetch: writes the file of a checksum, or gives False.

    Raises:
        ReleaseInvalid: a file is not the one of the release; nothing is kept then.
    """
    with suppress(NotFound):
        AdapterStore(home).get(entry.digest)
        return
    with _staged(home) as folder:
        if all(fetch(each.sha256, folder / each.sha256) for each in entry.files):
            take_adapter(entry, lambda file: folder / file.sha256, home)


@contextmanager
def _staged(home: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f".{ADAPTERS}-", dir=home) as folder:
        yield Path(folder)


def _entry(adapter: Adapter) -> AdapterEntry:
    folder = Path(adapter.path)
    paths = [folder / each for each in _FILES if (folder / each).is_file()]
    return AdapterEntry(
        digest=adapter.digest,
        name=adapter.name,
        base=adapter.base,
        base_sha256=adapter.base_sha256,
        files=[
            FileEntry(path=each.name, sha256=sha256_of(each), bytes=each.stat().st_size)
            for each in paths
        ],
    )

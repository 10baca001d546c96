"""Bundles: a release with all that it runs on; altered or incomplete ones are refused."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import httpx
import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from headrace.models.store import ModelStore
from headrace.releases.bill import Weights, bill_of_materials
from headrace.releases.bundle import unpack_bundle, write_bundle
from headrace.releases.errors import BundleFailed, ReleaseInvalid
from headrace.releases.lock import Package, installed, lock_text
from headrace.releases.store import ReleaseStore
from tests.releases.conftest import add
from tests.running import HEADRACE, wait_for


@pytest.fixture
def weighty(root: Path) -> Path:
    (root / "tiny.gguf").write_bytes(b"GGUF and so on")
    (root / "headrace.yaml").write_text(
        "models:\n  small:\n    deployments: [{backend: embedded, weights: file:tiny.gguf}]\n"
        "pipeline: [generate]\n"
    )
    return root


def bundled(store: ReleaseStore, root: Path, folder: Path) -> Path:
    home = store.folder.parent
    ModelStore(home / "models", root=root).fetch("file:tiny.gguf", None)
    release = add(store, root)
    write_bundle(release, store, folder, root=root, home=home, environ={}, with_packages=False)
    return folder


def taken(folder: Path, store: ReleaseStore, *, is_trusted: bool = True) -> str:
    home = store.folder.parent
    root = home.parent / "there"
    root.mkdir(exist_ok=True)
    return unpack_bundle(folder, store, root=root, home=home, is_trusted=is_trusted).digest


def test_what_is_unpacked_elsewhere_can_be_served_there(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    shutil.rmtree(weighty)
    for _ in range(2):  # safe to repeat
        digest = taken(folder, elsewhere)
    release = elsewhere.get(digest)
    elsewhere.verify(release)
    kept = ModelStore(elsewhere.folder.parent / "models", root=tmp_path).find("file:tiny.gguf")
    assert kept is not None
    assert kept.path.read_bytes() == b"GGUF and so on"
    assert os.access(folder / "start", os.X_OK)


def test_a_key_is_trusted_only_when_asked(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    digest = taken(folder, elsewhere, is_trusted=False)
    with pytest.raises(ReleaseInvalid, match="signed by nobody"):
        elsewhere.verify(elsewhere.get(digest))


@pytest.mark.parametrize("what", ["altered", "gone", "no index"])
def test_weights_that_are_not_what_was_bundled_are_refused(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path, what: str
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    (path,) = (folder / "weights").glob("*/tiny.gguf")
    if what == "altered":
        path.write_bytes(b"GGUF and so om")
    elif what == "gone":
        path.unlink()
    else:
        (folder / "weights" / "index.json").write_text("[{}]")
    with pytest.raises(BundleFailed):
        taken(folder, elsewhere)
    assert (
        ModelStore(elsewhere.folder.parent / "models", root=tmp_path).find("file:tiny.gguf") is None
    )


def test_a_bundle_that_cannot_be_whole_is_not_there(
    store: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    release = add(store, weighty)
    home = store.folder.parent
    with pytest.raises(BundleFailed, match="weights of 'small' are not here"):
        write_bundle(release, store, tmp_path / "out", root=weighty, home=home, environ={})
    assert [each.name for each in tmp_path.iterdir() if "out" in each.name] == []
    (tmp_path / "full").mkdir()
    with pytest.raises(BundleFailed, match="is there already"):
        write_bundle(release, store, tmp_path / "full", root=weighty, home=home, environ={})
    with pytest.raises(BundleFailed, match="is no bundle"):
        taken(tmp_path / "full", store)


def test_the_packages_are_those_that_are_imported() -> None:
    packages = {each.name: each for each in installed()}
    assert {"headrace", "msgspec", "uvloop", "starlette"} <= set(packages)
    assert "pytest" not in packages
    assert "torch" not in packages
    # What another package wants with an extra comes along: dbos needs psycopg[binary].
    assert "psycopg-binary" in packages
    assert all(need in packages for each in packages.values() for need in each.needs)


def test_the_lock_pins_each_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    package = Package(name="a", version="1.0", licence="MIT", needs=())
    assert lock_text([package], {"a": wheel}) == (
        "a==1.0 \\\n    --hash=sha256:"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"
    )


def test_the_bill_of_materials_is_cyclonedx(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    release = msgspec.structs.replace(
        release, manifest=msgspec.structs.replace(release.manifest, knowledge="sha256:77")
    )
    weights = Weights(
        models=["small"], reference="file:tiny.gguf", sha256="a" * 64, file="tiny.gguf", bytes=14,
        task="text-generation",
    )  # fmt: skip
    bill = bill_of_materials(release, installed(), {}, [weights])
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None
    kinds = {each["type"] for each in json.loads(bill)["components"]}
    assert kinds == {"library", "machine-learning-model", "data"}
    assert bill == bill_of_materials(release, installed(), {}, [weights])


@pytest.mark.service
def test_a_bundle_starts_and_answers_as_the_release_did(model_home: Path, tmp_path: Path) -> None:
    root = tmp_path / "service"
    root.mkdir()
    environ = {**os.environ, "HEADRACE_HOME": str(model_home)}

    def run(*args: str) -> str:
        done = subprocess.run(
            [HEADRACE, *args], cwd=root, env=environ, check=True, capture_output=True, text=True
        )
        return done.stdout

    run("init", ".")
    built = json.loads(run("release", "build", "--json"))
    run("release", "bundle", "r1", str(tmp_path / "bundle"), "--no-packages")
    moved = (tmp_path / "bundle").rename(tmp_path / "moved")
    log = tmp_path / "log"
    # Whatever it wanted to fetch would go to a proxy that is not there.
    away = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    bare = {name: value for name, value in os.environ.items() if name != "HEADRACE_HOME"}
    with log.open("w") as output:
        process = subprocess.Popen(
            [moved / "start", "--port", "0"],
            env={**bare, **away, "HEADRACE_BIN": HEADRACE},
            stdout=output,
            stderr=output,
            cwd="/",
        )
    try:
        key = moved / "service" / ".headrace" / "admin.key"
        wait_for(lambda: "chat page" in log.read_text() or process.poll() is not None)
        url = next(
            w for w in log.read_text().split() if w.startswith("http://") and w.endswith("/")
        )
        reply = httpx.post(
            f"{url}v1/chat/completions",
            headers={"authorization": f"Bearer {key.read_text().strip()}"},
            json={"messages": [{"role": "user", "content": "What is the capital of France?"}]},
            timeout=60,
        )
        assert "Paris" in reply.json()["choices"][0]["message"]["content"]
        assert reply.headers["x-headrace-release"] == built["manifest"]["behaviour"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

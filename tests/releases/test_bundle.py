"""Bundles: a release with all that it runs on; altered or incomplete ones are refused."""

import hashlib
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

from headrace.cli import main as command_line
from headrace.config.load import load_service
from headrace.models.adapter import Adapter, AdapterStore
from headrace.models.store import ModelStore
from headrace.releases.adapter import adapters_of
from headrace.releases.bill import Weights, bill_of_materials
from headrace.releases.bundle import unpack_bundle, write_bundle
from headrace.releases.errors import BundleFailed, ReleaseInvalid
from headrace.releases.lock import Package, installed, lock_text
from headrace.releases.store import ReleaseStore
from tests.models.embedded.lora import write_adapter
from tests.releases.conftest import adapter_in, add, manifest, opened
from tests.running import HEADRACE, wait_for


@pytest.fixture
def weighty(root: Path) -> Path:
    (root / "tiny.gguf").write_bytes(b"GGUF and so on")
    (root / "headrace.yaml").write_text(
        "models:\n  small:\n    deployments: [{backend: embedded, weights: file:tiny.gguf}]\n"
        "pipeline: [generate]\n"
    )
    return root


def bundled(store: ReleaseStore, root: Path, folder: Path, *, knowledge: str | None = None) -> Path:
    ModelStore(store.home / "models", root=root).fetch("file:tiny.gguf", None)
    if knowledge is not None:
        (store.home / "knowledge").mkdir()
        (store.home / "knowledge" / "current").write_text(knowledge)
        (store.home / "knowledge" / "knowledge.db").write_bytes(b"documents")
    models = load_service(root, {}).models.values()
    adapters = adapters_of(models, store.home)
    release, _ = store.add(*manifest(root, knowledge=knowledge, adapters=adapters))
    write_bundle(
        release, store, folder, root=root, home=store.home, environ={}, with_packages=False
    )
    return folder


def taken(folder: Path, store: ReleaseStore, *, is_trusted: bool = True) -> str:
    root = store.home.parent / "there"
    root.mkdir(exist_ok=True)
    return unpack_bundle(folder, store, root=root, home=store.home, is_trusted=is_trusted).digest


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


def placed(store: ReleaseStore) -> list[str]:
    """What an unpacked bundle has put into a home."""
    return sorted(
        each.relative_to(store.home).as_posix()
        for top in ("models", "knowledge", "knowledge.part", "adapters")
        for each in (store.home / top).rglob("*")
        if each.is_file() and each.name != ".lock"
    )


def test_a_key_is_trusted_only_when_asked_and_nothing_of_a_stranger_is_put_in_place(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    with pytest.raises(ReleaseInvalid, match="signed by nobody who is trusted"):
        taken(folder, elsewhere, is_trusted=False)
    assert placed(elsewhere) == []
    assert elsewhere.all() == []
    taken(folder, elsewhere)
    taken(folder, elsewhere, is_trusted=False)  # from then on
    assert "models/index.json" in placed(elsewhere)


def test_another_key_in_a_bundle_makes_nobody_its_builder(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    (folder / "release.pub").write_bytes(elsewhere.signer.public())
    with pytest.raises(ReleaseInvalid, match="signed by nobody who is trusted"):
        taken(folder, elsewhere)
    (folder / "release.pub").unlink()
    with pytest.raises(BundleFailed, match=r"release\.pub"):
        taken(folder, elsewhere)


def test_who_bundles_the_release_of_another_signs_for_it(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    release = elsewhere.get(taken(folder, elsewhere))
    again = tmp_path / "again"
    write_bundle(
        release, elsewhere, again, root=weighty, home=elsewhere.home, environ={},
        with_packages=False,
    )  # fmt: skip
    for third in opened(tmp_path / "third"):
        assert taken(again, third) == release.digest
    assert (again / "release.pub").read_bytes() == elsewhere.signer.public()


@pytest.mark.parametrize(
    "what", ["altered", "gone", "no index", "index", "knowledge", "more", "link", "contents"]
)
def test_what_is_not_what_was_bundled_is_refused_and_nothing_is_put_in_place(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path, what: str
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle", knowledge="sha256:77")
    (path,) = (folder / "weights").glob("*/tiny.gguf")
    if what == "altered":
        path.write_bytes(b"GGUF and so om")
    elif what == "gone":
        path.unlink()
    elif what == "no index":
        (folder / "weights" / "index.json").unlink()
    elif what == "index":
        # As far as the weights go all is right; only nobody signed that they are these.
        other = hashlib.sha256(b"other").hexdigest()
        index = folder / "weights" / "index.json"
        index.write_text(index.read_text().replace(path.parent.name, other))
        path.write_bytes(b"other")
        path.parent.rename(path.parent.with_name(other))
    elif what == "knowledge":
        (folder / "knowledge" / "knowledge.db").write_bytes(b"other documents")
    elif what == "more":
        (folder / "knowledge" / "arrays").mkdir()
        (folder / "knowledge" / "arrays" / "more").write_bytes(b"")
    elif what == "link":
        (folder / "knowledge" / "arrays").symlink_to(tmp_path)
    else:
        (folder / "contents.json").unlink()
    with pytest.raises(BundleFailed):
        taken(folder, elsewhere)
    assert placed(elsewhere) == []
    assert elsewhere.all() == []


def test_knowledge_and_adapters_come_with_a_bundle(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    digest = adapter_in(store.home, tmp_path)
    (weighty / "lora.gguf").write_bytes(b"GGUF, a file")
    text = (weighty / "headrace.yaml").read_text()
    (weighty / "headrace.yaml").write_text(
        text.replace(
            "pipeline:",
            f"  tuned: {{base: small, adapter: 'registry:{digest}'}}\n"
            "  filed: {base: small, adapter: 'file:lora.gguf'}\npipeline:",
        )
    )
    ModelStore(store.home / "models", root=weighty).fetch("file:lora.gguf", None)
    folder = bundled(store, weighty, tmp_path / "bundle", knowledge="sha256:77")
    release = elsewhere.get(taken(folder, elsewhere))
    elsewhere.verify(release)
    assert (elsewhere.home / "knowledge" / "knowledge.db").read_bytes() == b"documents"
    gguf = AdapterStore(elsewhere.home).get(digest).gguf
    assert gguf is not None
    assert gguf.read_bytes() == b"GGUF, an adapter"
    kept = ModelStore(elsewhere.home / "models", root=tmp_path).find("file:lora.gguf")
    assert kept is not None
    assert kept.path.read_bytes() == b"GGUF, a file"
    kinds = [
        each["name"] for each in json.loads((folder / "sbom.cdx.json").read_bytes())["components"]
    ]
    assert {"mill-7", "lora.gguf", "tiny.gguf"} <= set(kinds)


def test_other_weights_under_a_name_that_is_pinned_here_are_refused(
    store: ReleaseStore, elsewhere: ReleaseStore, weighty: Path, tmp_path: Path
) -> None:
    folder = bundled(store, weighty, tmp_path / "bundle")
    there = tmp_path / "there"
    there.mkdir()
    (there / "tiny.gguf").write_bytes(b"other weights")
    models = ModelStore(elsewhere.home / "models", root=there)
    before = models.fetch("file:tiny.gguf", None)
    with pytest.raises(BundleFailed, match="what is here under that name"):
        taken(folder, elsewhere)
    assert models.find("file:tiny.gguf") == before
    assert elsewhere.all() == []


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


QUESTION = {"role": "user", "content": "What is the capital of France?"}


def _real_adapter(home: Path) -> str:
    folder = home.parent / "made"
    folder.mkdir()
    write_adapter(folder / "adapter.gguf", 1, rank=64)
    about = Adapter(digest=f"sha256:{'cd' * 32}", name="x", base="y", base_sha256="")
    return AdapterStore(home).put(about, folder).digest


@pytest.mark.service
def test_a_bundle_starts_and_answers_as_the_release_did(
    model_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "service"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("HEADRACE_HOME", str(model_home))

    def run(*args: str) -> str:
        capfd.readouterr()
        assert command_line.run(args) == 0
        return capfd.readouterr().out

    run("init", ".")
    yaml = (root / "headrace.yaml").read_text()
    adapted = f"  tuned: {{base: smollm2-135m, adapter: 'registry:{_real_adapter(model_home)}'}}\n"
    (root / "headrace.yaml").write_text(yaml.replace("\npipeline:", f"\n{adapted}pipeline:", 1))
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

        def asked(model: str) -> str:
            reply = httpx.post(
                f"{url}v1/chat/completions",
                headers={"authorization": f"Bearer {key.read_text().strip()}"},
                json={"model": model, "max_tokens": 24, "messages": [QUESTION]},
                timeout=60,
            )
            assert reply.headers["x-headrace-release"] == built["manifest"]["behaviour"]
            assert reply.status_code == 200, reply.text
            return str(reply.json()["choices"][0]["message"]["content"])

        assert "Paris" in asked("smollm2-135m")
        assert "Paris" not in asked("tuned")  # its adapter is of random numbers
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)

"""Releases: the same files give the same one; what was altered, or signed by a stranger, is refused."""

import json
import subprocess
from pathlib import Path

import pytest

from headrace.releases.channel import Serving, read_serving, served_root, write_serving
from headrace.releases.diff import diff
from headrace.releases.errors import ReleaseInvalid, UnknownRelease
from headrace.releases.layout import ARTIFACT, export, read_layout
from headrace.releases.store import ReleaseStore
from tests.releases.conftest import YAML, add, manifest


def test_the_same_files_give_the_same_bytes_anywhere(store: ReleaseStore, root: Path) -> None:
    first, _ = manifest(root)
    copy = root.with_name("copy")
    subprocess.run(["cp", "-r", str(root), str(copy)], check=True)
    again, _ = manifest(copy)
    assert first.encoded() == again.encoded()
    made, is_new = store.add(*manifest(root))
    assert is_new
    assert store.add(*manifest(copy)) == (made, False)


def test_a_secret_stays_out_of_a_release(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    assert [each.path for each in release.manifest.files] == [
        "headrace.yaml",
        "prompts/assistant.yaml",
    ]
    assert release.manifest.outside == ["secret.txt"]
    blobs = [each for each in store.blobs.folder.rglob("*") if each.is_file()]
    assert all(b"sk-secret" not in each.read_bytes() for each in blobs)
    folder = store.unpacked(release, root)
    assert (folder / "secret.txt").read_text() == "sk-secret"
    assert (folder / "prompts" / "assistant.yaml").read_bytes() == (
        root / "prompts" / "assistant.yaml"
    ).read_bytes()


def test_a_release_is_found_by_each_of_its_names(store: ReleaseStore, root: Path) -> None:
    first = add(store, root)
    (root / "headrace.yaml").write_text(YAML + "region: eu\n")
    second = add(store, root, "sha256:bbbb2222")
    assert [each.name for each in store.all()] == ["r2", "r1"]
    assert store.get("r1") == store.get(first.digest) == store.get(first.digest[:20]) == first
    assert store.get("sha256:bbbb2222") == second
    store.move("production", first.digest, who="ann", why="")
    assert store.get("production") == first
    for wrong in ("r3", "sha256:0000", "staging", "sha256:"):
        with pytest.raises(UnknownRelease):
            store.get(wrong)


def test_an_altered_blob_is_not_served(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    path = next(each for each in store.blobs.folder.rglob("*") if each.is_file())
    data = path.read_bytes()
    path.write_bytes(data + b"#")
    with pytest.raises(ReleaseInvalid, match="altered"):
        store.verify(release)
    path.unlink()
    with pytest.raises(ReleaseInvalid, match="gone"):
        store.unpacked(release, root)


def test_an_altered_manifest_is_not_served(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    from msgspec.structs import replace

    forged = replace(release, manifest=replace(release.manifest, service="other"))
    with pytest.raises(ReleaseInvalid, match="altered"):
        store.verify(forged)
    with pytest.raises(ReleaseInvalid, match="signed by nobody"):
        store.verify(replace(release, signature=b"x" * 64))


def test_a_file_outside_of_the_folder_is_not_put_out(store: ReleaseStore, root: Path) -> None:
    from msgspec.structs import replace

    made, files = manifest(root)
    entry = replace(made.files[0], path="../outside.yaml")
    evil = replace(made, files=[entry])
    release, _ = store.add(evil, {"../outside.yaml": files[made.files[0].path]})
    with pytest.raises(ReleaseInvalid, match="outside"):
        store.unpacked(release, root)
    assert not (store.folder / "outside.yaml").exists()


def test_what_differs_is_said_line_by_line(store: ReleaseStore, root: Path) -> None:
    old = add(store, root)
    (root / "headrace.yaml").write_text(YAML.replace("mill", "barn"))
    (root / "policies").mkdir()
    (root / "policies" / "strict.yaml").write_text("input: {}\n")
    new = add(store, root, "sha256:bbbb2222")
    found = diff(old.manifest, new.manifest, store.blobs)
    assert [(each.path, each.what) for each in found.files] == [
        ("headrace.yaml", "changed"),
        ("policies/strict.yaml", "added"),
    ]
    assert "-name: mill" in found.files[0].lines
    assert "+name: barn" in found.files[0].lines
    assert not found.same_behaviour
    assert diff(old.manifest, old.manifest, store.blobs).files == []


def test_a_release_travels_and_must_be_trusted(
    store: ReleaseStore, elsewhere: ReleaseStore, root: Path, tmp_path: Path
) -> None:
    release = add(store, root)
    folder = tmp_path / "layout"
    export(release, store, folder)
    index = json.loads((folder / "index.json").read_bytes())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    image = json.loads((folder / "blobs" / "sha256" / digest).read_bytes())
    assert image["artifactType"] == ARTIFACT
    assert [each["annotations"]["org.opencontainers.image.title"] for each in image["layers"]] == [
        "headrace.yaml",
        "prompts/assistant.yaml",
    ]
    taken, is_new = read_layout(folder, elsewhere)
    assert (taken.digest, is_new) == (release.digest, True)
    with pytest.raises(ReleaseInvalid, match="signed by nobody"):
        elsewhere.unpacked(taken, root)
    trusted = tmp_path / "elsewhere" / "trusted-releases"
    trusted.mkdir()
    (trusted / "builder.pub").write_bytes((tmp_path / "home" / "release.pub").read_bytes())
    assert (elsewhere.unpacked(taken, root) / "headrace.yaml").read_text() == YAML
    with pytest.raises(ReleaseInvalid, match="not empty"):
        export(release, store, folder)


@pytest.mark.parametrize("is_trusted_before", [True, False])
def test_whoever_signed_first_does_not_stand_in_the_way_of_who_is_trusted(
    store: ReleaseStore,
    elsewhere: ReleaseStore,
    root: Path,
    tmp_path: Path,
    is_trusted_before: bool,
) -> None:
    release = add(store, root)
    folder = tmp_path / "elsewhere" / "trusted-releases"
    folder.mkdir()

    def trust() -> None:
        (folder / "builder.pub").write_bytes((tmp_path / "home" / "release.pub").read_bytes())

    made, files = manifest(root)
    for data in files.values():
        elsewhere.blobs.put(data)
    elsewhere.keep(made, b"x" * 64)
    if is_trusted_before:
        trust()
    for signature in (release.signature, b"y" * 64, b"z"):
        kept, is_new = elsewhere.keep(made, signature)
        assert not is_new
    assert kept == elsewhere.get(release.digest)
    assert kept.signature == b"x" * 64 + release.signature + b"y" * 64
    trust()
    elsewhere.verify(kept)
    # They travel, too.
    export(kept, elsewhere, tmp_path / "layout")
    assert read_layout(tmp_path / "layout", store)[0].signature == (
        release.signature + b"x" * 64 + b"y" * 64
    )


@pytest.mark.parametrize("what", ["altered", "missing", "index", "nothing"])
def test_a_broken_layout_is_not_taken(
    what: str, store: ReleaseStore, elsewhere: ReleaseStore, root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "layout"
    release = add(store, root)
    export(release, store, folder)
    blob = folder / "blobs" / "sha256" / release.manifest.files[0].sha256
    if what == "altered":
        blob.write_bytes(b"name: evil\n")
    elif what == "missing":
        blob.unlink()
    elif what == "index":
        (folder / "index.json").write_bytes(b"{}")
    else:
        (folder / "index.json").unlink()
    with pytest.raises(ReleaseInvalid):
        read_layout(folder, elsewhere)
    assert elsewhere.all() == []


def test_moves_are_kept_with_who_and_why(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    assert store.serving("production") == ""
    store.move("production", release.digest, who="ann", why="better")
    store.move("production", "", who="bob", why="worse")
    moves = store.moves("production")
    assert [(each.who, each.why, each.digest) for each in moves] == [
        ("bob", "worse", ""),
        ("ann", "better", release.digest),
    ]


def test_what_is_served_is_one_file_that_is_replaced_whole(tmp_path: Path) -> None:
    assert read_serving(tmp_path) is None
    serving = Serving(release="sha256:1", name="r1", folder=str(tmp_path / "r1"))
    write_serving(tmp_path, serving)
    assert read_serving(tmp_path) == serving
    assert served_root(tmp_path / "files", tmp_path) == tmp_path / "r1"
    write_serving(tmp_path, None)
    assert served_root(tmp_path / "files", tmp_path) == tmp_path / "files"


def test_the_signing_key_is_its_owners_alone(
    store: ReleaseStore, root: Path, tmp_path: Path
) -> None:
    add(store, root)
    assert (tmp_path / "home" / "release.key").stat().st_mode & 0o077 == 0
    (tmp_path / "home" / "release.key").write_text("nonsense")
    with pytest.raises(ReleaseInvalid, match="no key"):
        store.signer.sign(b"x")

"""Artifacts: named, versioned sets of files by content, logged by one run and used by others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import at_once

import tracklake as tl
from tracklake.errors import ArtifactError, TracklakeError, UnknownNameError


def log_text(lake: Path, text: str, *, run_id: str, aliases: list[str] | None = None) -> str:
    """Log the text as the only file of artifact "model", and return the version."""
    with tl.init("p", id=run_id, dir=lake) as run:
        artifact = tl.Artifact("model", type="model")
        with artifact.new_file("weights.txt") as file:
            file.write(text)
        return run.log_artifact(artifact, aliases=aliases).version


def test_a_new_content_is_a_new_version(tmp_path: Path):
    """Versions count from v0; the content of the latest version again is that version."""
    assert log_text(tmp_path, "0.5", run_id="a") == "v0"
    assert log_text(tmp_path, "0.5", run_id="b") == "v0"
    assert log_text(tmp_path, "0.7", run_id="c") == "v1"


def test_an_alias_names_one_version_and_moves(tmp_path: Path):
    """What is used by an alias is the version that bore it last; `latest` is the newest."""
    log_text(tmp_path, "0.5", run_id="a", aliases=["best"])
    log_text(tmp_path, "0.7", run_id="b")
    with tl.init("p", id="c", dir=tmp_path) as run:
        assert run.use_artifact("model:best").version == "v0"
        assert run.use_artifact("model:latest").version == "v1"
        run.use_artifact("model:v1").add_alias("best")
        assert run.use_artifact("model:best").version == "v1"
        assert run.use_artifact("model:v0").aliases == []


def test_a_download_is_what_was_logged(tmp_path: Path):
    """A folder that is added comes back byte for byte, under its names."""
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "a.bin").write_bytes(bytes(range(256)))
    (source / "deep" / "ü b.txt").write_text("text")
    with tl.init("p", dir=tmp_path / "lake") as run:
        artifact = tl.Artifact("data", type="set")
        artifact.add_dir(str(source))
        logged = run.log_artifact(artifact)
        copy = Path(logged.download(tmp_path / "copy"))
    assert sorted(file.name for file in logged.files()) == ["a.bin", "deep/ü b.txt"]
    assert (copy / "a.bin").read_bytes() == bytes(range(256))
    assert (copy / "deep" / "ü b.txt").read_text() == "text"


def test_a_changed_copy_does_not_verify(tmp_path: Path):
    """`verify` compares a folder with the digests, and names the file that is not what was logged."""
    log_text(tmp_path / "lake", "0.5", run_id="a")
    artifact = tl.Api(tmp_path / "lake").artifact("p/model:v0")
    copy = artifact.download(tmp_path / "copy")
    artifact.verify(copy)
    Path(copy, "weights.txt").write_text("0.6")
    with pytest.raises(ArtifactError, match=r"weights\.txt"):
        artifact.verify(copy)


def test_equal_files_are_stored_once(tmp_path: Path):
    """Two names of one content are one file of the lake."""
    with tl.init("p", dir=tmp_path) as run:
        artifact = tl.Artifact("data", type="set")
        for name in ("a.txt", "b.txt"):
            with artifact.new_file(name) as file:
                file.write("same")
        run.log_artifact(artifact)
    assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == 1


def test_who_logged_and_who_uses(tmp_path: Path):
    """An artifact knows the run that made it and the runs that asked for it."""
    log_text(tmp_path, "0.5", run_id="maker")
    for run_id in ("first", "second"):
        with tl.init("p", id=run_id, dir=tmp_path) as run:
            run.use_artifact("model:v0")
    artifact = tl.Api(tmp_path).artifact("p/model:v0")
    assert (artifact.logged_by(), sorted(artifact.used_by())) == ("maker", ["first", "second"])


def test_processes_that_log_at_once_make_a_version_each(tmp_path: Path):
    """Six processes that log different contents of one name get v0 to v5, each holding what it logged."""
    tl.open(tmp_path, create=True)
    code = """
        with tl.init("p", id="r" + sys.argv[2], dir=sys.argv[1]) as run:
            artifact = tl.Artifact("model", type="model")
            with artifact.new_file("who.txt") as file:
                file.write(run.id)
            print(run.log_artifact(artifact).version)
    """
    versions = at_once(code, tmp_path, number=6)
    assert sorted(versions) == ["v0", "v1", "v2", "v3", "v4", "v5"]
    for i, version in enumerate(versions):
        file = tl.Api(tmp_path).artifact(f"p/model:{version}").get_entry("who.txt")
        assert Path(file.download()).read_text() == f"r{i}"


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt"])
def test_a_name_outside_is_refused(tmp_path: Path, name: str):
    """A file of an artifact has a relative name without "..": it can never be written elsewhere."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError):
        tl.Artifact("data", type="set").add_file(str(tmp_path / "file"), name=name)


@pytest.mark.parametrize("field", ["name", "path"])
def test_a_manifest_that_points_outside_is_not_followed(tmp_path: Path, field: str):
    """A manifest that someone else wrote cannot make a download read or write outside of the lake and its folder."""
    log_text(tmp_path / "lake", "0.5", run_id="a")
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (manifest,) = (tmp_path / "lake" / "artifacts").rglob("v000000.json")
    stored = manifest.read_text()
    if field == "name":
        changed = stored.replace('"weights.txt"', '"../../escaped.txt"')
    else:
        changed = stored.replace(json.dumps(entry_path(tmp_path / "lake")), json.dumps("../secret.txt"))
    assert changed != stored
    manifest.chmod(0o644)
    manifest.write_text(changed)
    with pytest.raises(TracklakeError):
        tl.Api(tmp_path / "lake").artifact("p/model:v0").download(tmp_path / "copy" / "deep")
    assert not (tmp_path / "escaped.txt").exists()
    assert not list(tmp_path.glob("copy/**/*secret*"))


def test_a_damaged_manifest_is_told_with_its_file(tmp_path: Path):
    """A manifest that is cut costs that version alone, and its file is named."""
    log_text(tmp_path, "0.5", run_id="a")
    log_text(tmp_path, "0.7", run_id="b")
    manifest = next((tmp_path / "artifacts").rglob("v000000.json"))
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes()[:40])
    with pytest.raises(ArtifactError, match=r"v000000\.json"):
        tl.Api(tmp_path).artifact("p/model:v0")
    assert tl.Api(tmp_path).artifact("p/model:v1").version == "v1"


def entry_path(lake: Path) -> str:
    """Return the path of the only stored file, as a manifest names it."""
    (file,) = (path for path in (lake / "files").rglob("*") if path.is_file())
    return file.relative_to(lake).as_posix()


def test_an_unknown_artifact_names_the_nearest(tmp_path: Path):
    """A name that is not there is told with the nearest one."""
    log_text(tmp_path, "0.5", run_id="a")
    with tl.init("p", id="b", dir=tmp_path) as run, pytest.raises(UnknownNameError, match="model"):
        run.use_artifact("modle:v0")


def test_a_file_that_is_not_there_is_refused_when_added(tmp_path: Path):
    """A path without a file is refused before anything is written."""
    with pytest.raises(TracklakeError, match=r"nothing\.bin"):
        tl.Artifact("data", type="set").add_file(str(tmp_path / "nothing.bin"))


def test_a_reference_is_kept_and_not_fetched(tmp_path: Path):
    """An address outside is stored as such; downloading it is refused with the way out."""
    with tl.init("p", dir=tmp_path) as run:
        artifact = tl.Artifact("data", type="set")
        artifact.add_reference("s3://bucket/train.csv")
        (file,) = run.log_artifact(artifact).files()
    assert file.ref == "s3://bucket/train.csv"
    with pytest.raises(ArtifactError, match="fetch it there"):
        file.download()

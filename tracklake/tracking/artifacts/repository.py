"""The versions of the artifacts of a lake: log, find, alias."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from tracklake.common import interrupts
from tracklake.common.warnings import warn, warn_set_aside
from tracklake.errors import ArtifactError, LakeError, UnknownNameError
from tracklake.schema import naming
from tracklake.storage import checked_json
from tracklake.tracking.artifacts.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklake.storage.backend import Storage

FOLDER = "artifacts"
INDEX = f"{FOLDER}/names"
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_NUMBER = re.compile(r"v(\d+)")


class Reference(NamedTuple):
    """What "entity/project/name:alias" names; without an alias it is the latest version."""

    project: str | None
    name: str
    alias: str

    @property
    def text(self) -> str:
        """It as a text that `parse` reads.

        >>> Reference("digits", "model", "best").text
        'digits/model:best'
        """
        return f"{f'{self.project}/' if self.project else ''}{self.name}:{self.alias}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read one. Raises ArtifactError for what cannot be a name.

        >>> Reference.parse("me/digits/model:best"), Reference.parse("model").alias
        (Reference(project='digits', name='model', alias='best'), 'latest')
        """
        path, _, alias = str(text).partition(":")
        *before, name = path.split("/")
        return cls(before[-1] if before else None, check_name(name), alias or "latest")


def check_name(name: object) -> str:
    """Return a name that an artifact may have. Raises ArtifactError.

    >>> check_name("model-2.1")
    'model-2.1'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or set(name) == {"."}:
        raise ArtifactError(
            f"{name!r} is no name of an artifact; up to 128 letters, digits, '-', '_' and '.' are accepted"
        )
    return name


class Repository:
    """The artifacts of one lake.

    >>> with tl.init("digits") as run:
    ...     artifact = tl.Artifact("model", type="model")
    ...     with artifact.new_file("weights.txt") as file:
    ...         _ = file.write("0.5")
    ...     _ = run.log_artifact(artifact, aliases=["best"])
    >>> Repository(tl.open()._storage).find("digits/model:best").version
    0
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def log(self, draft: Manifest, *, aliases: Iterable[str]) -> Manifest:
        """Store a version under the next number and return it; where the latest has the same files, return that.

        Aliases go to the version that is returned.

        >>> Repository(example()._storage).log(Manifest("data", "set", "p", -1, {}, {}), aliases=["raw"]).version
        0
        """
        while True:
            before = self.numbers(draft.project, draft.name)
            latest = self._latest(draft, before[-1]) if before else None
            if latest is not None and latest.type != draft.type:
                raise ArtifactError(f"artifact {draft.name!r} has type {latest.type!r}, not {draft.type!r}")
            if latest is not None and latest.digest == draft.digest:
                stored = latest
                break
            now = datetime.now(UTC).isoformat(timespec="seconds")
            stored = draft._replace(version=before[-1] + 1 if before else 0, created_at=now)
            if not before:
                self._list(draft)
            if self.storage.put_if_absent(_path(draft.project, draft.name, f"v{stored.version:06d}"), stored.to_json()):
                break
        for alias in aliases:
            if alias != "latest":
                self.move_alias(stored, alias)
        return stored

    def _latest(self, draft: Manifest, number: int) -> Manifest | None:
        """Return the version before; None, with a warning, where it is damaged: what is logged is a new one then."""
        try:
            return self.read(draft.project, draft.name, number)
        except (ArtifactError, OSError) as error:
            interrupts.let_through(error)
            warn(f"tracklake: the version before cannot be read, and this one is stored beside it: {error}")
            return None

    def _list(self, draft: Manifest) -> None:
        """Note that there is an artifact of this name: a folder's folders cannot be listed on every storage."""
        index = self._index(draft.project, draft.name)
        self.storage.put_if_absent(index, checked_json.dumps({"project": draft.project, "name": draft.name}))

    @staticmethod
    def _index(project: str, name: str) -> str:
        return f"{INDEX}/{naming.safe_name(f'{project}/{name}')}.json"

    def find(self, text: str, *, project: str | None = None, type: str | None = None) -> Manifest:  # noqa: A002
        """Return the version that "project/name:alias" names; of `project` where it names none itself.

        Raises UnknownNameError with the nearest name, version or alias, and ArtifactError for another type.

        >>> Repository(example()._storage).find("example/model:latest")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: there is no artifact 'model' in project 'example'; the lake has none
        """
        reference = Reference.parse(text)
        of = reference.project or project or "uncategorized"
        numbers = self.numbers(of, reference.name)
        if not numbers:
            raise _unknown(reference.name, of, self.names())
        aliases = {"latest": numbers[-1]} | {f"v{n}": n for n in numbers}
        if reference.alias not in aliases:
            aliases = self.aliases(of, reference.name) | aliases
        if reference.alias not in aliases:
            raise UnknownNameError.nearest(f"version of artifact {reference.name!r}", reference.alias, aliases)
        manifest = self.read(of, reference.name, aliases[reference.alias])
        if type is not None and manifest.type != type:
            raise ArtifactError(f"artifact {reference.name!r} has type {manifest.type!r}, not {type!r}")
        return manifest

    def read(self, project: str, name: str, version: int) -> Manifest:
        """Return a version by its number; ArtifactError, with the file, where its manifest is damaged.

        >>> repository = Repository(example()._storage)
        >>> stored = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[])
        >>> repository.read("p", "data", 0) == stored
        True
        """
        path = _path(project, name, f"v{version:06d}")
        try:
            return Manifest.from_json(self.storage.read(path))
        except ArtifactError as error:
            raise ArtifactError(f"artifact {project}/{name}:v{version} in {path}: {error}") from error

    def versions(self, project: str, name: str) -> list[Manifest]:
        """Return the versions that can be read, the oldest first; a warning names each other one.

        >>> repository = Repository(example()._storage)
        >>> stored = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[])
        >>> repository.versions("p", "data") == [stored]
        True
        """
        manifests = []
        for number in self.numbers(project, name):
            try:
                manifests.append(self.read(project, name, number))
            except (ArtifactError, OSError) as error:
                interrupts.let_through(error)
                warn(f"tracklake: a version is left out: {error}")
        return manifests

    def numbers(self, project: str, name: str) -> list[int]:
        """Return the numbers of the versions that are there, ascending.

        >>> Repository(example()._storage).numbers("p", "data")
        []
        """
        files = self.storage.list(folder_of(project, name), prefix="v", suffix=".json")
        return sorted(int(match[1]) for file in files if (match := _NUMBER.match(file.name)))

    def aliases(self, project: str, name: str) -> dict[str, int]:
        """Return which version each alias names now, `latest` left out.

        >>> repository = Repository(example()._storage)
        >>> _ = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=["raw", "latest"])
        >>> repository.aliases("p", "data")
        {'raw': 0}
        """
        moved: dict[str, int] = {}
        for file in self.storage.list(folder_of(project, name), prefix="alias.", suffix=".json"):
            change = checked_json.read(self.storage, f"{folder_of(project, name)}/{file.name}")
            moved[change["alias"]] = change["version"]
        return {alias: version for alias, version in moved.items() if version >= 0}

    def move_alias(self, manifest: Manifest, alias: str, *, remove: bool = False) -> None:
        """Let an alias name this version from now on, or nothing.

        >>> repository = Repository(example()._storage)
        >>> stored = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=["raw"])
        >>> repository.move_alias(stored, "raw", remove=True)
        >>> repository.aliases("p", "data")
        {}
        """
        folder = folder_of(manifest.project, manifest.name)
        if not remove and self.aliases(manifest.project, manifest.name).get(alias) == manifest.version:
            return
        change = checked_json.dumps({"alias": alias, "version": -1 if remove else manifest.version})
        number = len(self.storage.list(folder, prefix="alias.", suffix=".json"))
        while not self.storage.put_if_absent(f"{folder}/alias.{number:06d}.json", change):
            number += 1

    def note_use(self, manifest: Manifest, run_id: str) -> None:
        """Note that a run uses this version.

        >>> repository = Repository(example()._storage)
        >>> stored = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[])
        >>> repository.note_use(stored, "slow")
        >>> repository.users(stored)
        ['slow']
        """
        name = f"use.v{manifest.version:06d}.{naming.safe_name(run_id)}.json"
        content = checked_json.dumps({"run_id": run_id})
        self.storage.put_if_absent(f"{folder_of(manifest.project, manifest.name)}/{name}", content)

    def users(self, manifest: Manifest) -> list[str]:
        """Return the ids of the runs that use this version.

        >>> repository = Repository(example()._storage)
        >>> repository.users(repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[]))
        []
        """
        folder = folder_of(manifest.project, manifest.name)
        files = self.storage.list(folder, prefix=f"use.v{manifest.version:06d}.", suffix=".json")
        return [checked_json.read(self.storage, f"{folder}/{file.name}")["run_id"] for file in files]

    def names(self) -> list[tuple[str, str]]:
        """Return (project, name) of every artifact of the lake, sorted.

        >>> repository = Repository(example()._storage)
        >>> _ = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=[])
        >>> repository.names()
        [('p', 'data')]
        """
        files = self.storage.list(INDEX, suffix=".json")
        names = []
        for file in files:
            try:
                content = checked_json.read(self.storage, f"{INDEX}/{file.name}")
                names.append((content["project"], content["name"]))
            except (LakeError, KeyError):
                warn_set_aside(f"the name of an artifact in {self.storage.describe(f'{INDEX}/{file.name}')}")
        return sorted(names)

    def copy_project(self, project: str, name: str) -> list[str]:
        """Put the versions of a project's artifacts, their aliases and users under another project as well.

        Versions keep their numbers; where the other project has an artifact of that name they come behind its own.
        Returns the files that are of the old name only, for whoever deletes them. ArtifactError, before anything is
        written, where both have an artifact of one name and of different types.

        >>> repository = Repository(example()._storage)
        >>> stored = repository.log(Manifest("data", "set", "p", -1, {}, {}), aliases=["raw"])
        >>> old = repository.copy_project("p", "q")
        >>> repository.find("q/data:raw").version, len(old)
        (0, 3)
        """
        own = [artifact for of, artifact in self.names() if of == project]
        versions = {
            artifact: [self.read(project, artifact, n) for n in self.numbers(project, artifact)] for artifact in own
        }
        for artifact, several in versions.items():
            numbers = self.numbers(name, artifact)
            if numbers and several and self.read(name, artifact, numbers[-1]).type != several[-1].type:
                raise ArtifactError(f"artifact {artifact!r} of {project!r} has another type than that of {name!r}")
        for artifact, several in versions.items():
            self._copy(artifact, several, project=name)
        files = [self._index(project, artifact) for artifact in own]
        for artifact in own:
            folder = folder_of(project, artifact)
            files += [f"{folder}/{file.name}" for file in self.storage.list(folder)]
        return files

    def _copy(self, artifact: str, versions: list[Manifest], *, project: str) -> None:
        number_of_digest = {self.read(project, artifact, n).digest: n for n in self.numbers(project, artifact)}
        after = max(number_of_digest.values(), default=-1) + 1
        aliases = self.aliases(versions[0].project, artifact) if versions else {}
        for manifest in versions:
            moved = manifest._replace(
                project=project, version=number_of_digest.get(manifest.digest, after + manifest.version)
            )
            self._list(moved)
            self.storage.put_if_absent(_path(project, artifact, f"v{moved.version:06d}"), moved.to_json())
            for alias in (alias for alias, number in aliases.items() if number == manifest.version):
                self.move_alias(moved, alias)
            for run_id in self.users(manifest):
                self.note_use(moved, run_id)


def folder_of(project: str, name: str) -> str:
    """Return the folder of the versions of an artifact.

    >>> folder_of("p", "data")[:12]
    'artifacts/p-'
    """
    return f"{FOLDER}/{naming.safe_name(project)}/{naming.safe_name(name)}"


def _path(project: str, name: str, stem: str) -> str:
    return f"{folder_of(project, name)}/{stem}.json"


def _unknown(name: str, project: str, names: list[tuple[str, str]]) -> UnknownNameError:
    existing = ", ".join(f"{of}/{other}" for of, other in names) or "none"
    return UnknownNameError(f"there is no artifact {name!r} in project {project!r}; the lake has {existing}")

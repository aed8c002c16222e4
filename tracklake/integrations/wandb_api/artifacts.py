"""The artifacts and projects of a lake by W&B's public API; a part of `Api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracklake.errors import UnknownNameError
from tracklake.tracking.artifacts.artifact import Artifact
from tracklake.tracking.artifacts.repository import Reference, Repository

if TYPE_CHECKING:
    from tracklake.lake.lake import Lake


class ApiProject(NamedTuple):
    """A project by W&B's names.

    >>> tl.Api(example().dir).projects()
    [ApiProject(name='example', entity='local')]
    """

    name: str
    entity: str = "local"

    @property
    def path(self) -> list[str]:
        """[entity, project].

        >>> tl.Api(example().dir).project("example").path
        ['local', 'example']
        """
        return [self.entity, self.name]


class ApiArtifacts:
    """Artifacts and projects of a lake."""

    _lake: Lake

    def projects(self, entity: str | None = None, per_page: int = 200) -> list[ApiProject]:  # noqa: ARG002 - as W&B
        """Return the projects of the lake, sorted by name.

        >>> [project.name for project in tl.Api(example().dir).projects()]
        ['example']
        """
        names = self._lake.runs(columns=["project"])["project"].unique().sort()
        return [ApiProject(name) for name in names]

    def project(self, name: str, entity: str | None = None) -> ApiProject:  # noqa: ARG002 - as W&B
        """Return a project. Raises UnknownNameError with the nearest.

        >>> tl.Api(example().dir).project("exampel")
        Traceback (most recent call last):
        tracklake.errors.UnknownNameError: unknown project 'exampel'; did you mean 'example'?
        """
        names = [project.name for project in self.projects()]
        if name not in names:
            raise UnknownNameError.nearest("project", name, names)
        return ApiProject(name)

    def artifact(self, name: str, type: str | None = None) -> Artifact:  # noqa: A002 - as W&B
        """Return the version that "project/name:alias" names. Raises UnknownNameError, ArtifactError.

        >>> with tl.init("digits") as run:
        ...     _ = run.log_artifact(tl.Artifact("data", type="set"))
        >>> tl.Api().artifact("me/digits/data:latest").name
        'data:v0'
        """
        return Artifact.stored(self._repository.find(name, type=type), self._repository)

    def artifact_exists(self, name: str, type: str | None = None) -> bool:  # noqa: A002 - as W&B
        """Tell whether there is such a version.

        >>> tl.Api(example().dir).artifact_exists("digits/data:v3")
        False
        """
        try:
            self._repository.find(name, type=type)
        except UnknownNameError:
            return False
        return True

    def artifacts(self, type_name: str, name: str, per_page: int = 50) -> list[Artifact]:  # noqa: ARG002 - as W&B
        """Return the versions of "project/name", the newest first. Raises UnknownNameError, ArtifactError.

        >>> with tl.init("digits") as run:
        ...     _ = run.log_artifact(tl.Artifact("data", type="set"))
        >>> [artifact.version for artifact in tl.Api().artifacts("set", "digits/data")]
        ['v0']
        """
        reference = Reference.parse(name)
        manifests = self._repository.versions(reference.project or "uncategorized", reference.name)[::-1]
        if not manifests or manifests[0].type != type_name:  # raises what is wrong
            self._repository.find(reference._replace(alias="latest").text, type=type_name)
        return [Artifact.stored(manifest, self._repository) for manifest in manifests]

    artifact_versions = artifacts
    """W&B's older name of it."""

    @property
    def _repository(self) -> Repository:
        return Repository(self._lake._storage)  # noqa: SLF001 - the Api is another face of the lake

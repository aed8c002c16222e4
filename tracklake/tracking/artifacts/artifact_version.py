"""What a version of an artifact says of itself: its name, aliases and size, the run that logged it, its users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklake.errors import ArtifactError

if TYPE_CHECKING:
    from tracklake.tracking.artifacts.manifest import Manifest
    from tracklake.tracking.artifacts.repository import Repository


class ArtifactVersion:
    """Name, version, aliases and size of an artifact, whether it was logged, and by whom; a part of `Artifact`."""

    _base_name: str
    _repository: Repository | None
    _manifest: Manifest | None
    """None before it is logged."""

    @property
    def name(self) -> str:
        """The name, with the version once it is logged.

        >>> tl.Artifact("model", type="model").name
        'model'
        """
        return self._base_name if self._manifest is None else f"{self._base_name}:{self.version}"

    @property
    def version(self) -> str:
        """The version: "v0", "v1", ... Raises ArtifactError before it is logged.

        >>> tl.Artifact("model", type="model").version
        Traceback (most recent call last):
        tracklake.errors.ArtifactError: artifact 'model' was not logged yet: run.log_artifact(artifact) does
        """
        return f"v{self._logged.version}"

    @property
    def aliases(self) -> list[str]:
        """The aliases that name this version now, `latest` among them if it is that.

        >>> with tl.init() as run:
        ...     run.log_artifact(tl.Artifact("data", type="set"), aliases=["raw"]).aliases
        ['latest', 'raw']
        """
        of, repository = self._logged, self._lake
        latest = repository.numbers(of.project, of.name)[-1] == of.version
        named = [a for a, version in repository.aliases(of.project, of.name).items() if version == of.version]
        return (["latest"] if latest else []) + named

    @property
    def digest(self) -> str:
        """The SHA-256 over names and contents of its files. Raises ArtifactError before it is logged.

        >>> with tl.init() as run:
        ...     len(run.log_artifact(tl.Artifact("data", type="set")).digest)
        64
        """
        return self._logged.digest

    @property
    def size(self) -> int:
        """The bytes of its files. Raises ArtifactError before it is logged.

        >>> with tl.init() as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).size
        0
        """
        return self._logged.size

    @property
    def id(self) -> str:
        """Project, name and version.

        >>> with tl.init("digits") as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).id
        'digits/data:v0'
        """
        return self.qualified_name

    @property
    def qualified_name(self) -> str:
        """Project, name and version, as `id`.

        >>> with tl.init("digits") as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).qualified_name
        'digits/data:v0'
        """
        return f"{self._logged.project}/{self.name}"

    @property
    def project(self) -> str:
        """The project of the run that logged it.

        >>> with tl.init("digits") as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).project
        'digits'
        """
        return self._logged.project

    @property
    def created_at(self) -> str:
        """When it was logged: UTC, ISO 8601.

        >>> with tl.init() as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).created_at[4]
        '-'
        """
        return self._logged.created_at

    @property
    def state(self) -> str:
        """COMMITTED once it is logged, else PENDING.

        >>> tl.Artifact("model", type="model").state
        'PENDING'
        """
        return "PENDING" if self._manifest is None else "COMMITTED"

    def is_draft(self) -> bool:
        """Tell whether it was not logged yet.

        >>> tl.Artifact("model", type="model").is_draft()
        True
        """
        return self._manifest is None

    def logged_by(self) -> str | None:
        """Return the id of the run that logged it.

        >>> with tl.init(id="r1") as run:
        ...     run.log_artifact(tl.Artifact("data", type="set")).logged_by()
        'r1'
        """
        return self._logged.run_id

    def used_by(self) -> list[str]:
        """Return the ids of the runs that use it.

        >>> with tl.init(id="r1") as run:
        ...     _ = run.log_artifact(tl.Artifact("data", type="set"))
        ...     run.use_artifact("data").used_by()
        ['r1']
        """
        return self._lake.users(self._logged)

    def __repr__(self) -> str:
        return f"<Artifact {self.name if self._manifest is None else self.id}>"

    @property
    def _logged(self) -> Manifest:
        if self._manifest is None:
            raise self._not_logged()
        return self._manifest

    @property
    def _lake(self) -> Repository:
        if self._repository is None:
            raise self._not_logged()
        return self._repository

    def _not_logged(self) -> ArtifactError:
        return ArtifactError(f"artifact {self._base_name!r} was not logged yet: run.log_artifact(artifact) does")

"""The fields of a run that is being written: what it is called and where it belongs, written through as they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklake.schema import run_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracklake.tracking.session import Session


class WrittenFields:
    """Id, project, name, group, job type, tags and notes of a run, and the place of its lake."""

    def __init__(self, session: Session, fields: Mapping[str, Any], entity: str | None) -> None:
        """Begin with the fields that earlier sessions have set."""
        self._session = session
        self._fields = dict(fields)
        self._entity = entity

    @property
    def id(self) -> str:
        """The run's id, unique in the lake.

        >>> with tl.init(id="r1") as run:
        ...     run.id
        'r1'
        """
        return self._session.run_id

    @property
    def project(self) -> str:
        """The project it belongs to.

        >>> with tl.init("walk") as run:
        ...     run.project
        'walk'
        """
        return self._session.project

    @property
    def name(self) -> str:
        """The display name; the id if none was given; assign to change it.

        >>> with tl.init(id="r1") as run:
        ...     before, run.name = run.name, "baseline"
        >>> before, run.name
        ('r1', 'baseline')
        """
        return str(self._fields.get("name") or self.id)

    @name.setter
    def name(self, name: str) -> None:
        """Replace its display name."""
        self._set_fields({"name": name})

    @property
    def entity(self) -> str:
        """What was given as entity; there are no accounts, so it means nothing.

        >>> with tl.init() as run, tl.init(entity="me", reinit="create_new") as other:
        ...     run.entity, other.entity
        ('local', 'me')
        """
        return self._entity or "local"

    @property
    def path(self) -> str:
        """entity/project/id, as `Api.run` takes it.

        >>> with tl.init("walk", id="r1", entity="me") as run:
        ...     run.path
        'me/walk/r1'
        """
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def group(self) -> str | None:
        """The group it belongs to; None if none was given.

        >>> with tl.init(group="lr0.1") as run:
        ...     run.group
        'lr0.1'
        """
        return self._fields.get("group")

    @property
    def job_type(self) -> str | None:
        """What kind of job it is; None if none was given.

        >>> with tl.init(job_type="eval") as run:
        ...     run.job_type
        'eval'
        """
        return self._fields.get("job_type")

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags; assign to change them: what is new is added, what is missing is removed.

        Each is a statement of its own, so that several processes may add tags at once.

        >>> with tl.init(tags=["baseline"]) as run:
        ...     run.tags += ("v2",)
        >>> run.tags
        ('baseline', 'v2')
        """
        return tuple(self._fields.get("tags") or ())

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        """Replace its tags."""
        self._set_fields({"tags": tags})

    @property
    def notes(self) -> str | None:
        """Notes about it, None if there are none; assign to change them.

        >>> with tl.init(notes="first try") as run:
        ...     run.notes += ", too hot"
        >>> run.notes
        'first try, too hot'
        """
        return self._fields.get("notes")

    @notes.setter
    def notes(self, notes: str) -> None:
        """Replace its notes."""
        self._set_fields({"notes": notes})

    @property
    def url(self) -> str:
        """Where the run lies, as W&B scripts like to print.

        >>> with tl.init(id="r1") as run:
        ...     run.url
        'file:///.../lake#r1'
        """
        return f"{self._session.storage.uri()}#{self.id}"

    def get_url(self) -> str:
        """Where the run lies; W&B's older name of `url`.

        >>> with tl.init(id="r1") as run:
        ...     run.get_url() == run.url
        True
        """
        return self.url

    @property
    def project_url(self) -> str:
        """Where the lake lies: projects have no place of their own.

        >>> with tl.init(id="r1") as run:
        ...     run.project_url
        'file:///.../lake'
        """
        return self._session.storage.uri()

    def get_project_url(self) -> str:
        """Where the lake lies; W&B's older name of `project_url`.

        >>> with tl.init() as run:
        ...     run.get_project_url() == run.project_url
        True
        """
        return self.project_url

    def project_name(self) -> str:
        """Return its project; W&B's older name.

        >>> with tl.init("walk") as run:
        ...     run.project_name()
        'walk'
        """
        return self.project

    def _set_fields(self, changes: Mapping[str, Any]) -> None:
        fields = {key: run_fields.check(key, value) for key, value in changes.items() if value is not None}
        statements = run_fields.statements(fields, tags=self._fields.get("tags") or ())
        if statements:
            self._session.append_statements(statements)
            self._fields |= fields

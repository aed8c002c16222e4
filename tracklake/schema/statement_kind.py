"""The kinds of statements that a session makes: the stored column `op`."""

from __future__ import annotations

from enum import StrEnum


class StatementKind(StrEnum):
    """What a statement does; the value is what a journal frame and the column `op` of a partition hold.

    >>> StatementKind.EDIT, StatementKind("edit") is StatementKind.EDIT, str(StatementKind.EDIT)
    (<StatementKind.EDIT: 'edit'>, True, 'edit')
    """

    HEADER = "header"
    """Opens a journal file: its run, project, session, number and step. Kept in the columns of SESSIONS."""
    ROW = "row"
    """Values of one step that do not fit a packed row. Becomes points."""
    SESSION = "session"
    """A fact of the session itself, taken from the header: its host, process, rewind or parent."""
    FIELD = "field"
    """A field of the run: its name, group, job type or notes."""
    TAG = "tag"
    """A tag that was added; the key is the tag."""
    UNTAG = "untag"
    """A tag that was removed; the key is the tag."""
    CONFIG = "config"
    """A value of the config, by its dotted path."""
    UNSET = "unset"
    """A path of the config that holds no longer."""
    DEFINE = "define"
    """A metric definition, one define_metric call, as JSON."""
    DERIVE = "derive"
    """A derived metric of the lake, as JSON."""
    ALIAS = "alias"
    """Another name for metrics of the lake, as JSON."""
    DELETE = "delete"
    """Hides a run of the lake, by its id."""
    RESTORE = "restore"
    """Takes the deletion of a run back."""
    MOVE = "move"
    """Moves a run of the lake, by its id, to another project."""
    RENAME_PROJECT = "rename_project"
    """Gives a project another name: what the lake said of it before holds for that one."""
    EDIT = "edit"
    """An entry of the summary set by hand."""
    ERASE = "erase"
    """An entry of the summary deleted by hand."""
    METADATA = "metadata"
    """What was noted of the host, the command line and the code."""
    FILE = "file"
    """A file of the run by its name: where its content lies, as JSON."""
    ROTATE = "rotate"
    """Ends a journal file that another one follows."""
    FINISH = "finish"
    """Ends a session: its state and exit code."""

"""Files of a local folder that appear whole or not at all, durably: link(2), else a rename that never replaces."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from typing import TYPE_CHECKING

from tracklake.common import interrupts
from tracklake.errors import CommitError, LakeError

if TYPE_CHECKING:
    from pathlib import Path

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the operating system says where a file can grow no more."""
_LINK_REFUSED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_RENAME_REFUSED = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4


def copy_file(source: Path, target: Path) -> None:
    """Copy a file to where it is whole or as it was before; LakeError where there is no room for it.

    >>> from pathlib import Path
    >>> _ = Path("a.txt").write_bytes(b"hello")
    >>> copy_file(Path("a.txt"), Path("copy/a.txt"))
    >>> Path("copy/a.txt").read_bytes()
    b'hello'
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        shutil.copyfile(source, unfinished)
        unfinished.replace(target)
    except OSError as error:
        tell_no_room(error, f"cannot write {target}")
        raise
    finally:
        unfinished.unlink(missing_ok=True)


def tell_no_room(error: OSError, what: str) -> None:
    """Raise LakeError, which says the way out, for an error of writing where there was no room; return for others.

    >>> tell_no_room(OSError(errno.ENOSPC, "No space left on device"), "cannot write a.txt")
    Traceback (most recent call last):
    tracklake.errors.LakeError: cannot write a.txt: No space left on device; make room there
    """
    interrupts.let_through(error)
    if error.errno in NO_ROOM:
        is_limit = error.errno == errno.EFBIG
        way_out = "let this process write files of that size (ulimit -f)" if is_limit else "make room there"
        raise LakeError(f"{what}: {error.strerror}; {way_out}") from error


def write_new(target: Path, data: bytes) -> bool:
    """Write a new file, atomically and durably; False if the name is taken.

    A reader sees nothing or all of it. Folders are made as needed. Raises CommitError where the file system has no
    atomic way to publish a file, and OSError as it comes; after an OSError the file may be there.

    >>> from pathlib import Path
    >>> write_new(Path("new/a.txt"), b"mine"), write_new(Path("new/a.txt"), b"yours"), Path("new/a.txt").read_bytes()
    (True, False, b'mine')
    """
    if os.path.lexists(target):
        return False
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        write_synced(temporary, data)
        won = _publish(temporary, target, data)
    finally:
        temporary.unlink(missing_ok=True)
    if won:
        sync_folder(target.parent)
    return won


def sync_folder(folder: Path) -> None:
    """Return once the names in a folder have reached the disk, where the file system lets one say so.

    >>> import pathlib
    >>> sync_folder(pathlib.Path())
    """
    if sys.platform == "win32":  # it has no handle of a folder to sync, and keeps names durable by itself
        return
    try:
        sync_file(folder)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise


def _publish(temporary: Path, target: Path, data: bytes) -> bool:
    """Give the written file its name; False if the name is taken."""
    try:
        return _link_if_absent(temporary, target)
    except OSError as error:
        interrupts.let_through(error)
        # A network file system may fail after the deed: what counts is what is there now.
        if _holds(target, data):
            return True
        raise


def _link_if_absent(source: Path, target: Path) -> bool:
    """Link `source` as `target`, or rename it where links are refused; False if `target` is taken."""
    try:
        os.link(source, target)
    except FileExistsError:
        # NFS repeats a request whose answer was lost, and then meets its own link.
        return source.samefile(target)
    except OSError as error:
        if error.errno in _LINK_REFUSED:
            return _rename_if_absent(source, target)
        raise
    return True


def _rename_if_absent(source: Path, target: Path) -> bool:
    """Rename `source` to `target`, False if `target` is taken; CommitError where that cannot be done atomically."""
    try:
        _rename_exclusively(source, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _RENAME_REFUSED:
            raise
        raise CommitError(
            f"the file system of {target.parent} cannot publish a file atomically (it has neither hard links nor a "
            f"rename that spares an existing file), so sealing is not possible here; logging is. "
            f"Copy the lake to another file system to seal it"
        ) from error
    return True


def _rename_exclusively(source: Path, target: Path) -> None:
    """Rename by the system call that never replaces: FileExistsError if `target` is taken, ENOSYS if there is none."""
    if sys.platform == "win32":
        source.rename(target)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        names = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target))
        failed = libc.renameat2(*names, _RENAME_NOREPLACE)
    elif hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(os.fsencode(source), os.fsencode(target), _RENAME_EXCL)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(target))
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file, and return once it is on the disk; FileExistsError if there is one.

    >>> from pathlib import Path
    >>> write_synced(Path("a.txt"), b"hello")
    """
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durably.

    >>> from pathlib import Path
    >>> make_folder(Path("a/b")), Path("a/b").is_dir()
    (None, True)
    """
    if folder.is_dir():
        return
    if folder.is_symlink():  # a lake whose name engines cannot take, not made yet
        make_folder(folder.readlink())
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Return once what a file holds has reached the disk.

    >>> from pathlib import Path
    >>> _ = Path("a.txt").write_text("rows")
    >>> sync_file(Path("a.txt"))
    """
    file = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

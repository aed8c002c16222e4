"""Connections to object stores by the package obstore, and its errors as those of a local file."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklake.errors import LakeError
from tracklake.storage.store_clock import StoreClock, endpoint_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "memory")
_SECRET = re.compile(r"^[^/]*@|[?]")
_PASSWORD = re.compile(r"://[^/@\s]*@")


class Tag(NamedTuple):
    """What tells one content of an object from another: S3 and Azure compare the first, Google the second."""

    e_tag: str | None
    version: str | None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Tag:
        """Return the tag of what the store answered to a put or a look.

        >>> Tag.of({"e_tag": "0", "version": None})
        Tag(e_tag='0', version=None)
        """
        return cls(fields["e_tag"], fields["version"])


def connect(url: str, options: Mapping[str, Any] | None) -> Any:
    """Return obstore's store of a URL; LakeError for what is none, and where the extra `cloud` is missing.

    >>> connect("ftp://host/lake", None)
    Traceback (most recent call last):
    tracklake.errors.LakeError: 'ftp://host/lake' is no place of a lake: a folder, or a URL that begins with s3://, ...
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise LakeError(f"{url!r} is no place of a lake: a folder, or a URL that begins with s3://, gs:// or az://")
    if _SECRET.search(rest) and not scheme.startswith("abfs"):  # there an account stands behind the @
        raise LakeError(
            f"the {scheme}:// URL of a lake holds credentials or a query, and would be written where it is named; "
            "give storage_options=, or the environment that the store's own tools read"
        )
    try:
        from obstore.store import from_url
    except ImportError:
        raise LakeError(f"{url} is on an object store: pip install 'tracklake[cloud]' to read and write it") from None
    settings = dict(options or {})
    if "AWS_ENDPOINT_URL" in os.environ and scheme.startswith("s3"):
        settings.setdefault("endpoint", os.environ["AWS_ENDPOINT_URL"])
    connection: dict[str, Any] = {"config": settings} if settings else {}
    if any(str(value).startswith("http://") for value in settings.values()):
        connection["client_options"] = {"allow_http": True}
    try:
        return from_url(url, **connection)
    except Exception as error:
        raise LakeError(f"{url} cannot be opened: {_reason(error)}") from error


def clock_of(url: str, options: Mapping[str, Any] | None) -> StoreClock:
    """Return the clock of the store of a URL.

    >>> clock_of("memory:///lake", None).local([1e9])
    [1000000000.0]
    """
    return StoreClock(endpoint_of(url.partition(":")[0], options or {}))


def checked_name(name: str) -> str:
    """Return the name of an object; LakeError if it leads out of the lake.

    >>> checked_name("runs/a.parquet")
    'runs/a.parquet'
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise LakeError(f"the name {name!r} leads out of the lake; names are relative, without '..'")
    return name


@contextlib.contextmanager
def os_errors(place: str) -> Iterator[None]:
    """Raise what obstore raises as the OSError that a local file would; conflicts of conditional puts go through.

    >>> with os_errors("memory:///lake"):
    ...     raise FileNotFoundError
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] no such object: 'memory:///lake'
    """
    from obstore import exceptions

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except (FileNotFoundError, exceptions.NotFoundError) as error:
        raise FileNotFoundError(errno.ENOENT, "no such object", place) from error
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise PermissionError(errno.EACCES, f"the store refuses access: {_reason(error)}", place) from error
    except exceptions.BaseError as error:
        raise OSError(errno.EIO, f"the store does not answer: {_reason(error)}", place) from error


def _reason(error: Exception) -> str:
    """Return what obstore says of an error, without the structures behind it and a password in an endpoint."""
    return _PASSWORD.sub("://", str(error).partition("\n\nDebug source:")[0])

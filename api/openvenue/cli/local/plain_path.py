"""A short, plain path for a data directory whose own path some programs cannot take.

A socket's path has at most 107 bytes, gRPC reads `%` as an escape, and PostgreSQL's `pg_ctl` gives
its arguments to a shell. If that matters, a link in one of the user's own directories stands in.
"""

import hashlib
import os
import re
import tempfile
from pathlib import Path

from openvenue.commands import CommandError

_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")

# 107 bytes for the longest socket in it, `postgres.unfinished-xxxxxxxx/.s.PGSQL.5432`.
_BYTES_MAX = 60


def plain_path(directory: Path) -> Path:
    """Return the directory itself, or a link to it that has a short path without odd characters.

    Raises CommandError if there is no place for a link that only this user can change.
    """
    if _is_plain(directory):
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    link = _own_directory() / digest
    if link.is_symlink() and link.readlink() == directory:
        return link
    draft = link.with_name(f"{digest}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(directory)
    draft.replace(link)
    return link


def _is_plain(path: Path) -> bool:
    return len(os.fsencode(path)) <= _BYTES_MAX and _PLAIN.fullmatch(str(path)) is not None


def _own_directory() -> Path:
    """Return a directory to which no other user can write."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    parents = ([Path(given)] if given else []) + [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108
    for parent in parents:
        directory = parent / f"openvenue-{os.getuid()}"
        if len(os.fsencode(directory)) > _BYTES_MAX - 17 or not _PLAIN.fullmatch(str(directory)):
            continue
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        status = directory.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022 or directory.is_symlink():
            raise CommandError(
                f"{directory} can be changed by others: remove it, or set XDG_RUNTIME_DIR to a "
                "directory of your own"
            )
        return directory
    raise CommandError(
        "there is no directory for links to data directories with long or odd paths: set "
        "XDG_RUNTIME_DIR to a short one of your own, or choose a plain --data-dir"
    )

"""Check paths that a user gave before anything opens them: a pipe never hangs a command."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from stemcls.errors import InputError

_KINDS = (
    (stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)


def check_ordinary(path: Path, what: str = "") -> os.stat_result | None:
    """Refuse what is there but is neither a file nor a folder; None where nothing is there.

    Args:
        path: As the user gave it; links are followed.
        what: What it is for, as in "--manifest"; begins the message.
    Raises:
        InputError: A pipe, socket or device, links that go round, or a name that no file can have.
    """
    start = f"{what} {path}" if what else str(path)
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise InputError(
                f"{start} is a link to {path.readlink()}, which does not exist; repair the link "
                "or name the file itself"
            ) from None
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{start} cannot be used: {reason}; expected a file or folder") from error
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise InputError(f"{start} is {name}: expected a file or folder")
    return found


def given_file(path: Path, what: str) -> Path:
    """Return `path`, which is a file that can be read.

    Args:
        path: As the user gave it.
        what: What it is, as in "manifest"; begins the message.
    Raises:
        InputError: It is missing, a folder, or anything else.
    """
    found = check_ordinary(path, what)
    if found is None:
        raise InputError(f"{what} {path} does not exist: expected a file")
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{what} {path} is a folder: expected a file")
    if not os.access(path, os.R_OK):
        raise InputError(f"{what} {path} may not be read: permission denied")
    return path


def given_folder(path: Path, what: str) -> Path:
    """Return `path`, which is a folder that can be listed.

    Raises:
        InputError: As `given_file`, for a folder.
    """
    found = check_ordinary(path, what)
    if found is None:
        raise InputError(f"{what} {path} does not exist: expected a folder")
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(f"{what} {path} is a file: expected a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise InputError(f"{what} {path} may not be listed: permission denied")
    return path

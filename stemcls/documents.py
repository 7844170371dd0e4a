"""Read what stemcls wrote itself: JSON that is sealed by a digest, and journals of chained lines.

Every failure becomes an error that names the file, the cause and the way out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stemcls import atomic
from stemcls.errors import InputError

_SEAL = "digest"
_LINK = "check"
_LINK_DIGITS = 16


def read_json(path: Path, way_out: str) -> Any:
    """Return the JSON value of a file.

    Args:
        path: The file.
        way_out: What the user can do where it is damaged, as part of a sentence.
    Raises:
        FileNotFoundError: There is none.
        InputError: It cannot be read, or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise
    except (ValueError, RecursionError) as error:
        size = path.stat().st_size
        cause = "it is empty" if not size else f"{error}"
        raise InputError(f"{path} is damaged ({cause}): {way_out}") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def read_object(path: Path, way_out: str) -> dict[str, Any]:
    """Return the JSON object of a file, its seal checked where it has one.

    Raises:
        FileNotFoundError: There is none.
        InputError: It cannot be read, is no JSON object, or was changed after it was written.
    """
    document = read_json(path, way_out)
    if not isinstance(document, dict):
        raise InputError(
            f"{path} is damaged (it holds a {type(document).__name__}, not an object): {way_out}"
        )
    check_seal(document, str(path), way_out)
    return document


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with a digest of everything else in it."""
    plain = json.loads(atomic.dump_json(dict(document)))
    plain.pop(_SEAL, None)
    return {**plain, _SEAL: _digest(plain)}


def check_seal(document: Mapping[str, Any], what: str, way_out: str) -> None:
    """Refuse a sealed document that was changed; one without a digest is of an older version.

    Args:
        document: From `sealed`, read back.
        what: Its file or name.
        way_out: What the user can do, as part of a sentence.
    Raises:
        InputError: It was changed after it was written.
    """
    given = document.get(_SEAL)
    rest = {key: value for key, value in document.items() if key != _SEAL}
    if given is not None and given != _digest(rest):
        raise InputError(f"{what} was changed after it was written: {way_out}")


def linked(entry: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """Return the line of a journal for an entry, and the check that its next line builds on.

    Args:
        entry: Plain values.
        before: Check of the line before; empty for the first.
    """
    plain = json.loads(atomic.dump_json(dict(entry)))
    check = _check(plain, before)
    return json.dumps({**plain, _LINK: check}, ensure_ascii=False).encode() + b"\n", check


def parse_linked(line: bytes, before: str) -> tuple[dict[str, Any], str] | None:
    """Return the entry of one line and its check, or None where the line is not as written.

    Lines of an older version have no check; none may follow one that has.
    """
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    given = entry.pop(_LINK, None)
    if given is None:
        return None if before else (entry, "")
    return (entry, given) if given == _check(entry, before) else None


def read_linked(path: Path, way_out: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal; what a killed process left of a last line is passed over.

    Args:
        path: The journal.
        way_out: What the user can do where a line is damaged, as part of a sentence.
    Raises:
        InputError: A line is not as it was written: names it, and how many before it are.
    """
    before = ""
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        found = parse_linked(line, before)
        if found is None:
            raise InputError(
                f"line {number} of {path} is damaged or was changed; the {number - 1} before it "
                f"are as they were written: {way_out}"
            )
        entry, before = found
        yield entry


def last_check(path: Path) -> str:
    """Return what the next line of a journal builds on; empty for a new or an older one."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        return str(json.loads(lines[-1]).get(_LINK, "")) if lines else ""
    except (ValueError, AttributeError):
        return ""


def _check(plain: dict[str, Any], before: str) -> str:
    return hashlib.sha256(f"{before}\n{_canonical(plain)}".encode()).hexdigest()[:_LINK_DIGITS]


def _digest(plain: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()


def _canonical(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, ensure_ascii=True, separators=(",", ":"))

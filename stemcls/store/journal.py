"""The working folder of a build: crops appended to one file, a journal that says whose they are.

A crash, a kill or a full disk leaves a journal whose complete lines agree with the crops on disk,
so the next build of the same target goes on at the next image.
"""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from stemcls.atomic import write_json
from stemcls.errors import InputError

_FLUSH_SECONDS = 0.5
_BLOCK_BYTES = 4 * 2**20


class Journal:
    """Append-only record of the images dealt with, beside their crops; one process at a time.

    Attributes:
        folder: `.<name of the target>.building`, beside the target.
        images_path: The crops, one after another, without a header.
        n_entries: Images recorded so far.
        layout: (dtype name, H, W, C) of the crops, or None before the first readable image.
        restarted: Why earlier partial work could not be used, or None.
    """

    def __init__(self, target: Path) -> None:
        self.folder = target.with_name(f".{target.name}.building")
        self.images_path = self.folder / "images.bin"
        self.journal_path = self.folder / "journal.jsonl"
        self._notes_path = self.folder / "notes.json"
        self.n_entries = 0
        self.layout: tuple[str, int, int, int] | None = None
        self.restarted: str | None = None
        self._target = target
        self._files = ExitStack()

    def __enter__(self) -> Journal:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("a")
        busy = InputError(
            f"another build of {self._target} is running; wait for it, or choose another --out"
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise busy from None
            raise
        if not (self.folder / "lock").exists():
            # The other build finished and cleared the folder between our two steps.
            self._lock.close()
            raise busy
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except OSError:
            # What was flushed before is intact; report the first error, not this one.
            if error is None:
                raise
        finally:
            self._lock.close()

    def begin(self, header: dict[str, Any]) -> None:
        """Check what an earlier build left and open both files for appending.

        Args:
            header: Settings and sources; other ones than before mean a fresh start.
        """
        journal_bytes, images_bytes = 0, 0
        self.images_path.touch()
        if self.journal_path.exists():
            journal_bytes, images_bytes = self._validated(header)
        # Unbuffered files would cost a system call per tiny crop.
        self._journal = self._files.enter_context(
            self.journal_path.open("ab", buffering=_BLOCK_BYTES)
        )
        self._images = self._files.enter_context(
            self.images_path.open("ab", buffering=_BLOCK_BYTES)
        )
        self._images.truncate(images_bytes)
        self._journal.truncate(journal_bytes)
        self._flushed = time.monotonic()
        if not journal_bytes:
            self._notes_path.unlink(missing_ok=True)
            self._journal.write(_line(header))
            self.flush()

    def note(self, make: Callable[[], Any]) -> Any:
        """Return what `make` gave when this build began, as plain values; it is asked only once."""
        if not self._notes_path.exists():
            write_json(self._notes_path, make())
        return json.loads(self._notes_path.read_text(encoding="utf-8"))

    def append(self, entry: dict[str, Any], crops: np.ndarray | None) -> None:
        """Record one image and its (n, H, W, C) crops, or none where it was skipped."""
        if crops is not None:
            data = np.ascontiguousarray(crops)
            entry = {
                **entry,
                "n": len(data),
                "layout": (data.dtype.name, *data.shape[1:]),
                "crc": zlib.crc32(data.data),
            }
            self._images.write(data.data)
            self.layout = (data.dtype.name, *data.shape[1:])
        self._journal.write(_line(entry))
        self.n_entries += 1
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system, crops before the lines that name them."""
        self._images.flush()
        self._journal.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close both files, crops first; the folder stays."""
        self._files.close()

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what was recorded up to the last flush, in order."""
        with self.journal_path.open("rb") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def remove(self) -> None:
        """Delete the working folder: its store is complete, or nothing in it is of use."""
        self.close()
        shutil.rmtree(self.folder)

    def _validated(self, header: dict[str, Any]) -> tuple[int, int]:
        """Return how many bytes of the journal and of the crops can be trusted."""
        size = self.images_path.stat().st_size
        journal_bytes = images_bytes = 0
        with self.journal_path.open("rb") as journal, self.images_path.open("rb") as images:
            first = _parsed(journal.readline())
            if first is None:
                return 0, 0
            header = json.loads(_line(header))
            if first != header:
                changed = [key for key in header if first.get(key) != header[key]]
                self.restarted = f"{' and '.join(changed)} changed since the interrupted build"
                return 0, 0
            journal_bytes = journal.tell()
            for line in journal:
                entry = _parsed(line)
                if entry is None:
                    break
                if "crc" in entry:
                    dtype, height, width, channels = entry["layout"]
                    values = entry["n"] * height * width * channels
                    n_bytes = values * np.dtype(dtype).itemsize
                    if images_bytes + n_bytes > size or _crc(images, n_bytes) != entry["crc"]:
                        break
                    images_bytes += n_bytes
                    self.layout = (dtype, height, width, channels)
                journal_bytes += len(line)
                self.n_entries += 1
        return journal_bytes, images_bytes


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line)
    except ValueError:
        return None


def _crc(file: Any, n_bytes: int) -> int:
    crc = 0
    while n_bytes > 0:
        block = file.read(min(n_bytes, _BLOCK_BYTES))
        if not block:
            return -1
        crc = zlib.crc32(block, crc)
        n_bytes -= len(block)
    return crc

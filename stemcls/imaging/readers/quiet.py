"""Keep what format libraries log and warn away from the user's screen, thread by thread."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("tifffile", "nd2", "liffile", "oiffile", "oirfile", "imagecodecs", "czifile")
_here = threading.local()
_filters_lock = threading.RLock()


class _Hushed(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        said = getattr(_here, "said", None)
        if said is None:
            return True
        said.append(record.getMessage())
        return False


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_Hushed())


@contextmanager
def hushed() -> Iterator[list[str]]:
    """Hold back this thread's log records of the format libraries; yields their texts."""
    before = getattr(_here, "said", None)
    _here.said = []
    try:
        yield _here.said
    finally:
        _here.said = before


@contextmanager
def no_warnings() -> Iterator[None]:
    """Ignore warnings while metadata is parsed.

    Python's warning filters are shared by all threads, so this is for short stretches: a lock
    keeps two of them from restoring each other's filters.
    """
    with _filters_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

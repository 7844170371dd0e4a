"""The terminal is asked for pictures once, and is not waited for where it has answered."""

from __future__ import annotations

import os
import pty
import termios
import threading
import time
from collections.abc import Iterator

import pytest

from tui import terminal
from tui.terminal import PicturesAsked

VT220 = b"\x1b[?62;22c"


@pytest.fixture
def outside() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: ours, and the one that programs in it have."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(("answer", "draws"), [
    (VT220, False),
    (b"\x1b[?62;4;22c", True),
    (b"\x1b_Gi=31;OK\x1b\\" + VT220, True),
    (b"\x1b_Gi=31;ENOTSUPPORTED\x1b\\" + VT220, False),
    (b"", False),
])  # fmt: skip
def test_a_terminal_is_asked_and_its_keys_are_left(
    outside, monkeypatch, answer: bytes, draws: bool
) -> None:
    ours, theirs = outside
    monkeypatch.setattr(terminal, "PATIENCE_SECONDS", 10.0 if answer else 0.2)
    before = termios.tcgetattr(theirs)

    def reply() -> None:
        while not os.read(ours, 1024).endswith(b"\x1b[c"):
            pass
        os.write(ours, answer and answer + b"q\n")

    threading.Thread(target=reply, daemon=True).start()
    begun = time.monotonic()
    with PicturesAsked(theirs, theirs) as asked:
        pass
    assert time.monotonic() - begun < 5
    assert asked.draws == draws
    assert termios.tcgetattr(theirs) == before
    if answer:
        assert os.read(theirs, 10) == b"q\n"

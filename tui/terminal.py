"""Ask the terminal whether it can draw pictures, while something else goes on."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import threading
import time
import tty
from typing import Any

PATIENCE_SECONDS = 0.3
# A question in kitty's graphics protocol, then what the terminal is. All terminals answer the
# second, and in order, so one without kitty's protocol need not be waited for.
_QUESTIONS = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\\x1b[c"
_KITTY = re.compile(rb"\x1b_G[^\x1b]*;OK\x1b\\")
_WHAT_IT_IS = re.compile(rb"\x1b\[\?([\d;]*)c")
_SIXELS = b"4"


class PicturesAsked:
    """A `with` block: the terminal is asked when it begins, and has answered when it ends.

    Keys that are typed before the answer are lost; those after it wait for whoever reads next.

    Args:
        keyboard, screen: Open files of the terminal; those of this process unless given.

    Attributes:
        draws: Whether it draws pictures; known after the block.
    """

    def __init__(self, keyboard: int | None = None, screen: int | None = None) -> None:
        self.draws = False
        self._keyboard = sys.stdin.fileno() if keyboard is None else keyboard
        self._screen = sys.stdout.fileno() if screen is None else screen
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> PicturesAsked:
        self._mode = termios.tcgetattr(self._keyboard)
        tty.setcbreak(self._keyboard, termios.TCSANOW)
        os.write(self._screen, _QUESTIONS)
        self._listener.start()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self._listener.join()
        finally:
            termios.tcsetattr(self._keyboard, termios.TCSANOW, self._mode)

    def _listen(self) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        answer = b""
        while (what := _WHAT_IT_IS.search(answer)) is None:
            left = max(0.0, end - time.monotonic())
            if not select.select([self._keyboard], [], [], left)[0]:
                return
            read = os.read(self._keyboard, 1)
            if not read:
                return
            answer += read
        self.draws = bool(_KITTY.search(answer)) or _SIXELS in what[1].split(b";")

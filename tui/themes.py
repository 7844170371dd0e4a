"""Colours: a dark and a light theme, and one that colour-blind people can tell apart."""

from textual.theme import Theme

from tui.settings import DARK

THEMES: tuple[Theme, ...] = (
    Theme(
        name=DARK, primary="#4c8dd6", secondary="#7a6fd0", accent="#e5a13c", success="#6fbf73",
        warning="#e5c04b", error="#e0605e", foreground="#dde3ea", background="#14181f",
        surface="#1a2029", panel="#252d39", dark=True,
    ),
    Theme(
        name="stemcls-light", primary="#1f5fa8", secondary="#5b4fb0", accent="#b36b00",
        success="#2e7d32", warning="#8a6d00", error="#b3261e", foreground="#1b1f24",
        background="#fbfbf8", surface="#f1f2ee", panel="#dfe3e0", dark=False,
    ),
    # Okabe and Ito 2008: eight colours that people with any colour vision tell apart.
    Theme(
        name="stemcls-colourblind", primary="#56b4e9", secondary="#cc79a7", accent="#e69f00",
        success="#009e73", warning="#f0e442", error="#d55e00", foreground="#f2f2f2",
        background="#101010", surface="#1a1a1a", panel="#2b2b2b", dark=True,
    ),
)

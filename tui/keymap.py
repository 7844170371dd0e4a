"""Every key of the UI, in one table: the footer and the help screen both come from it."""

from __future__ import annotations

from textual.binding import Binding, BindingType

APP: list[BindingType] = [
    Binding("question_mark,f1", "help", "Help", key_display="?"),
    Binding("q", "quit", "Quit"),
]
MAIN: list[BindingType] = [
    Binding("1", "show_tab('datasets')", "Datasets", show=False),
    Binding("2", "show_tab('runs')", "Runs", show=False),
]
DATASETS: list[BindingType] = [
    Binding("enter", "read_on", "Look closer", priority=True),
    Binding("t", "train", "Train on it"),
]
RUNS: list[BindingType] = [
    Binding("enter", "open", "Open", priority=True),
    Binding("s", "stop", "Stop"),
    Binding("r", "resume", "Resume"),
]
DETAIL: list[BindingType] = [
    Binding("escape", "back", "Back"),
    Binding("1", "show_tab('scores')", "Scores", show=False),
    Binding("2", "show_tab('confusion')", "Confusion", show=False),
    Binding("3", "show_tab('history')", "History", show=False),
    Binding("4", "show_tab('log')", "Log", show=False),
    Binding("5", "show_tab('explained')", "Explained", show=False),
    Binding("s", "stop", "Stop"),
    Binding("r", "resume", "Resume"),
]
FORM: list[BindingType] = [
    Binding("escape", "back", "Back"),
    Binding("ctrl+l", "launch", "Launch"),
]
FIELDS: list[BindingType] = [
    Binding("down", "app.focus_next", "Next field", key_display="↓"),
    Binding("up", "app.focus_previous", "Previous field", key_display="↑"),
    Binding("pagedown", "page_down", "Page down", show=False),
    Binding("pageup", "page_up", "Page up", show=False),
]

PLACES: dict[str, list[BindingType]] = {
    "Everywhere": APP,
    "Start": MAIN,
    "Datasets": DATASETS,
    "Runs": RUNS,
    "A run": DETAIL,
    "Training form": [*FORM, *FIELDS],
}


def help_text() -> str:
    """Return the keymap as lines for the help screen."""
    lines = []
    for place, bindings in PLACES.items():
        lines.append(f"[b]{place}[/b]")
        for binding in bindings:
            if isinstance(binding, Binding):
                key = (binding.key_display or binding.key).replace("escape", "esc")
                lines.append(f"  {key:<12}{binding.description}")
    lines += [
        "",
        "Arrows move, Tab goes on to the next part. In a text field letters are text: F1 is",
        "help there, and esc leaves. Jobs go on when you quit; `stemcls tui` finds them again.",
    ]
    return "\n".join(lines)

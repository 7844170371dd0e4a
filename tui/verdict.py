"""The verdict on a run, read and written for the screen; no Textual."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from stemcls.errors import StemclsError
from stemcls.evaluation.verdict import Line
from stemcls.runs import Run


def read_verdict_lines(run: Run, name: str) -> list[Line]:
    """Return the verdict on a run's scores, empty where it has none (yet).

    Args:
        run: Its folder.
        name: Of the set of crops, as `stemcls.evaluation.report.summary.read_verdict` takes it.
    """
    from stemcls.evaluation.report.summary import read_verdict

    try:
        return read_verdict(run, name, verified=False)
    except (StemclsError, OSError, KeyError, TypeError, ValueError):
        return []  # the notes of the tabs say what is missing or damaged


def verdict_text(lines: Sequence[Line]) -> Text:
    """Return the lines under what each is about."""
    text, last = Text(), ""
    for line in lines:
        if line.about != last:
            text.append(("\n" if text else "") + f"{line.about}: ", style="bold")
        else:
            text.append(" ")
        last = line.about
        text.append(line.text, style="yellow" if line.grave else "")
    return text

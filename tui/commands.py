"""Every command of the UI, in one table: keys, footer, help and palette all come from it."""

from __future__ import annotations

from textual.binding import BindingType

from tui.modes import MODES
from tui.places import Command, Place

_STOP = Command("s", "stop", "Stop", "Stop the run at its next step; it can be resumed.")
_RESUME = Command("r", "resume", "Resume", "Go on with an interrupted run in a new process.")
_BACK = Command("escape", "back", "Back")

PLACES: dict[str, Place] = {
    "app": Place(
        "Everywhere",
        "Arrows move, Tab goes on to the next part. In a text field letters and numbers are "
        "text: there F1 is help and Alt with a number changes the mode. Jobs go on when you "
        "quit; `stemcls tui` finds them again.",
        (
            Command("question_mark,f1", "help", "Help", "Explain this screen and its keys.",
                    shown_key="?"),
            Command("ctrl+p", "command_palette", "Commands", "Find a command by its name.",
                    shown_key="^p"),
            Command("ctrl+o", "jump", "Jump", "Put a letter on every part of the screen; typing "
                    "it goes there.", shown_key="^o"),
            *(Command(mode.key, f"go('{name}')", mode.title, mode.about, footer=False,
                      anywhere=f"alt+{mode.key}")
              for name, mode in MODES.items()),
            Command("f10", "tour", "Tour", "Go through all modes, with a few sentences on each.",
                    footer=False),
            Command("q,ctrl+q", "quit", "Quit", "Close the UI; jobs go on.", shown_key="q"),
        ),
    ),
    "datasets": Place("Datasets", MODES["datasets"].about, (
        Command("enter", "read_on", "Look closer", "Go to the part below to read on, and back.",
                footer=False, priority=True),
        Command("c", "crops", "Crops", "Look at the crops of the selected store as pictures."),
        Command("t", "train", "Train on it", "Open the training form for the selected store."),
        Command("b", "build", "Build", "Make a new store from a folder of images."),
        Command("a", "audit", "Audit", "Search the selected store for leaks and for shortcuts past "
                "the cells: whether a score on it can be believed."),
        Command("s", "stop", "Stop", "Stop what began last; the same build started again goes on "
                "from there.", footer=False),
        Command("left_square_bracket", "tab(-1)", "Tab left", footer=False, shown_key="["),
        Command("right_square_bracket", "tab(1)", "Next tab", "About, fields, split of the "
                "selected store.", footer=False, shown_key="]"),
    )),
    "crops": Place("Crops", "Pictures of crops; class, group and quality filter them.", (
        _BACK,
        Command("c", "filter('label')", "Class"),
        Command("g", "filter('group')", "Group"),
        Command("y", "filter('quality')", "Quality", "Crops at either end of a measure: dark "
                "fields, blurred ones, small cells."),
        Command("o", "filter('order')", "Order", footer=False),
        Command("n", "page(1)", "Next page"),
        Command("p", "page(-1)", "Page back", footer=False),
        Command("x", "contrast", "Contrast", "One range of grey for the page, one for each crop, "
                "or pixels as stored."),
    )),
    "picture": Place("One picture", "", (
        Command("escape,enter", "back", "Back"),
    )),
    "runs": Place("Runs", MODES["runs"].about, (
        Command("s", "stop", "Stop", "Stop the run at its next step, or take back a job that waits "
                "or is loading; a stopped run can be resumed."),
        _RESUME,
        Command("a", "again", "Again", "Launch it once more as a new job from its settings."),
        Command("v", "turn", "Log/curves", "Show the log in place of the curves, or the curves."),
        Command("m", "value", "Value", "Draw another value: losses, metrics, rate.", footer=False),
        Command("e", "rename", "Rename", "Give it a title; its folder keeps its name.",
                footer=False),
        Command("t", "tag", "Tag", "Words to find it by.", footer=False),
        Command("n", "note", "Note", "A line to remember it by.", footer=False),
        Command("d", "delete", "Delete", "Delete the run's folder, after a question.",
                footer=False),
        Command("p", "recipes", "Recipes", "The protocols of published papers, and their runs.",
                footer=False),
    )),
    "run-list": Place("List of runs", "Click a heading to sort by it.", (
        Command("enter", "enter", "Open", "Show the results of the selected run.", priority=True),
        Command("space", "mark", "Mark", "Lay its curves over those of the other marked runs."),
        Command("u", "unmark", "Unmark", "Take all marks off.", footer=False),
        Command("slash", "filter", "Find", "Show only runs that have some words in title, state, "
                "tags, note, device or stage.", shown_key="/"),
        Command("escape", "unfilter", "All", "Show all runs again.", footer=False),
        Command("o", "sort(1)", "Order", "Sort by the next column.", footer=False),
        Command("O", "sort(0)", "Turn order", "Sort the other way round.", footer=False),
        Command("greater_than_sign", "page(1)", "Next page", footer=False, shown_key=">"),
        Command("less_than_sign", "page(-1)", "Page before", footer=False, shown_key="<"),
    )),
    "results": Place("Results", MODES["results"].about, (
        Command("left_square_bracket", "tab(-1)", "Tab left", shown_key="["),
        Command("right_square_bracket", "tab(1)", "Tab right", shown_key="]"),
        Command("e", "next_set", "Next set", "Show the scores on the next set of crops: the run's "
                "own, then every other store that it was evaluated on.", footer=False),
        Command("x", "export", "Export", "Write the tables of this tab as CSV to exports/ in the "
                "workspace."),
        Command("o", "report", "Report", "Open the run's HTML report; where there is none yet, "
                "write it."),
        _STOP, _RESUME,
    )),
    "system": Place("System", MODES["system"].about, (
        Command("d", "doctor", "Doctor", "Check backends, devices, image formats, weights and the "
                "workspace."),
        Command("t", "set('theme')", "Theme"),
        Command("i", "set('pictures')", "Pictures", "How pictures are drawn: kitty, sixel, half "
                "cells, or off."),
    )),
    "confusion": Place("Confusion matrix", "Rows are the truth, columns what the model said.", (
        Command("enter", "open", "Cells", "Show the cells of this entry, the surest first.",
                priority=True),
    )),
    "threshold": Place(
        "Threshold", "A crop is called the class where its probability reaches the threshold.", (
            Command("right", "move(1)", "Higher", "Raise the threshold by 0.01.", shown_key="→"),
            Command("left", "move(-1)", "Lower", "Lower the threshold by 0.01.", shown_key="←"),
            Command("shift+right", "move(10)", "Much higher", "Raise it by 0.1.", footer=False),
            Command("shift+left", "move(-10)", "Much lower", "Lower it by 0.1.", footer=False),
            Command("down", "turn(1)", "Next class", shown_key="↓"),
            Command("up", "turn(-1)", "Previous class", footer=False, shown_key="↑"),
            Command("home", "reset", "Back to 0.5", footer=False),
        ),
    ),
    "compare": Place("Runs side by side", "Mark two runs or more to see their scores beside each "
                     "other.", (
        Command("space", "mark", "Mark", "Take the run under the cursor in, or out.",
                priority=True),
        Command("c", "compare", "Test", "Start `stemcls compare` on the marked runs: whether their "
                "differences hold."),
    )),
    "use": Place("Use", "The model in other programs, at another site, and as a web page.", (
        Command("n", "new_export", "New export", "Write the model in the format of another "
                "program, compared with the run before it is called done."),
        Command("w", "serve", "Web page", "Show and copy the command that serves the model as a "
                "web page."),
    )),
    "explained": Place("Explanations", "What single methods say the model looks at.", (
        Command("enter", "open", "Pictures", "Show the maps of this method over their crops.",
                priority=True),
    )),
    "cells": Place("Cells of an entry", "Surest first.", (
        _BACK,
        Command("m", "method", "Next method", "Show the map of the next method that explained "
                "this cell."),
        Command("x", "export", "Export", "Write all cells of the entry as CSV to exports/."),
    )),
    "maps": Place("Maps", "Each crop, and what the method says the model looks at.", (
        _BACK,
        Command("m", "method", "Next method", "Show the same cells by the next method."),
    )),
    "choose": Place("Choose a run", "Finished runs, newest first.", (
        _BACK,
        Command("enter", "choose", "Choose", priority=True),
    )),
    "explain": Place("Explain", MODES["explain"].about, (
        Command("n", "new", "New", "Explain cells of the chosen run."),
        Command("c", "choose_run", "Choose run", "Choose the run that this is about."),
        Command("s", "stop", "Stop", "Stop the explanation that is under way."),
    )),
    "predict": Place("Predict", MODES["predict"].about, (
        Command("n", "new", "New", "Classify the cells of new images with the chosen run."),
        Command("c", "choose_run", "Choose run", "Choose the run whose model is used."),
        Command("enter", "open", "Open", "Browse the fields of the selected prediction.",
                priority=True),
        Command("s", "stop", "Stop", "Stop the prediction that is under way."),
        Command("w", "serve", "Web page", "Show and copy the command that serves the run's model "
                "as a web page.", footer=False),
    )),
    "predicted": Place(
        "A prediction", "Cells below the score cut are grey, and left out of composition and "
        "export.", (
            _BACK,
            Command("right", "move(1)", "Raise cut", "Raise the score cut by 0.01.",
                    shown_key="→", priority=True),
            Command("left", "move(-1)", "Lower cut", "Lower the score cut by 0.01.",
                    shown_key="←", priority=True),
            Command("shift+right", "move(10)", "Much higher", "Raise it by 0.1.", footer=False,
                    priority=True),
            Command("shift+left", "move(-10)", "Much lower", "Lower it by 0.1.", footer=False,
                    priority=True),
            Command("x", "export", "Export", "Write the cells from the cut on as a new CSV to "
                    "exports/."),
        ),
    ),
    "gallery": Place("Pictures", "Arrows move the cursor from picture to picture.", (
        Command("enter", "choose", "Choose"),
        Command("right", "move(1, 0)", "Next", footer=False, shown_key="→"),
        Command("left", "move(-1, 0)", "Previous", footer=False, shown_key="←"),
        Command("down", "move(0, 1)", "Down", footer=False, shown_key="↓"),
        Command("up", "move(0, -1)", "Up", footer=False, shown_key="↑"),
        Command("pagedown", "page(1)", "Page on", footer=False),
        Command("pageup", "page(-1)", "Page back", footer=False),
        Command("plus,equals_sign", "zoom(1)", "Larger", shown_key="+"),
        Command("minus", "zoom(-1)", "Smaller", shown_key="-"),
    )),
    "build": Place(
        "Build a store", "Three steps: pick the images; turn the settings until the right cells "
        "are circled; say how crops are cut. The build goes on when you leave.", (
            _BACK,
            Command("ctrl+n", "step(1)", "Next step", shown_key="^n"),
            Command("ctrl+b", "step(-1)", "Step back", shown_key="^b"),
            Command("ctrl+l", "launch", "Build", "Start the build as a process of its own.",
                    shown_key="^l"),
        ),
    ),
    "field": Place("A field", "", (
        Command("plus,equals_sign", "zoom(1)", "Closer", shown_key="+"),
        Command("minus", "zoom(-1)", "Further", shown_key="-"),
        Command("right", "pan(1, 0)", "Right", footer=False, shown_key="→"),
        Command("left", "pan(-1, 0)", "Left", footer=False, shown_key="←"),
        Command("down", "pan(0, 1)", "Down", footer=False, shown_key="↓"),
        Command("up", "pan(0, -1)", "Up", footer=False, shown_key="↑"),
    )),
    "train": Place("Train", MODES["train"].about, (
        Command("ctrl+r", "recipes", "Recipes", "The protocols of published papers, and their "
                "runs.", shown_key="^r"),
    )),
    "recipes": Place(
        "Recipes", "Protocols of papers, from a folder of images to a report that lays the "
        "paper's figures beside yours. Their models are runs like any other.", (
            _BACK,
            Command("n", "new", "Run it", "Run the selected recipe on a folder of images."),
            Command("o", "report", "Report", "Open the report of the selected run."),
            Command("s", "stop", "Stop", "Stop the selected run; it can be resumed."),
            Command("r", "resume", "Resume", "Go on with the selected run where it stopped."),
        ),
    ),
    "tune": Place("Tune", MODES["tune"].about, (
        Command("n", "new", "New search", "Open the form of a search."),
        _STOP, _RESUME,
        Command("p", "promote", "Promote", "Train the selected trial's settings as a run."),
        Command("right_square_bracket", "picture(1)", "Picture", "Show the next picture: best so "
                "far, spread over folds, each setting against the score.", shown_key="]"),
        Command("left_square_bracket", "picture(-1)", "Before", footer=False, shown_key="["),
        Command("o", "sort(1)", "Order", "Sort the trials by the next column.", footer=False),
        Command("O", "sort(0)", "Turn order", "Sort the other way round.", footer=False),
    )),
    "search-form": Place("Search", "A search for the best settings around the experiment below.", (
        _BACK,
    )),
    "form": Place("Forms", "Every setting with its help; what is wrong is said while you type. "
                  "Beside it is the config as `stemcls train --config` takes it.", (
        Command("ctrl+l", "launch", "Launch", "Start the job as a process of its own; where its "
                "device is busy it waits in a queue.", shown_key="^l"),
        Command("ctrl+t", "preview", "Form/TOML", "Show the config in place of the form, or the "
                "form.", shown_key="^t"),
    )),
    "task-form": Place("Forms", "Every setting with its help; what is wrong is said while you "
                       "type.", (
        _BACK,
        Command("ctrl+l", "launch", "Launch", "Start the command as a process of its own.",
                shown_key="^l"),
    )),
    "tour": Place("Tour", "", (
        Command("enter,right,space", "step(1)", "On", shown_key="enter"),
        Command("left,backspace", "step(-1)", "Back"),
        Command("d", "demo", "Start the demo", "Simulate cells, train and evaluate, as a job."),
        Command("escape", "end", "End the tour"),
    )),
    "fields": Place("Fields of a form", "", (
        Command("down", "app.focus_next", "Next field", shown_key="↓"),
        Command("up", "app.focus_previous", "Previous field", shown_key="↑"),
        Command("pagedown", "page_down", "Page down", footer=False),
        Command("pageup", "page_up", "Page up", footer=False),
    )),
}


def bindings(place: str) -> list[BindingType]:
    """Return the commands of a place as the `BINDINGS` of its screen or widget."""
    return PLACES[place].bindings

"""`stemcls recipes`: published protocols, from a folder of images to a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stemcls.commands.experiments import Changes
from stemcls.commands.terminal import (
    Backend,
    Device,
    Json,
    Workspace,
    print_json,
    print_table,
    progress,
    say,
)
from stemcls.errors import InputError, check_known
from stemcls.evaluation.numbertext import interval_text, number_text

if TYPE_CHECKING:
    from stemcls.config.protocol import ProtocolConfig

_ACTIONS = ("list", "show", "run")


def recipes(
    action: Annotated[str, typer.Argument(metavar="list|show|run")] = "list",
    name: Annotated[str | None, typer.Argument(help="Recipe, as `list` names it.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the images, laid out as `show` says.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with an interrupted recipe (folder or name).")
    ] = None,
    called: Annotated[
        str, typer.Option("--name", help="Of the run's folder (default: the recipe's, and a time).")
    ] = "",
    backbone: Annotated[
        str | None, typer.Option(help="Another network than the recipe's.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="imagenet, none, or a weights file.")
    ] = None,
    changes: Changes = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Of a search: folds at once, as in `stemcls tune`."),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Of a search: a Dask cluster.")
    ] = None,
    backend: Backend = None,
    device: Device = "auto",
    workspace: Workspace = Path(),
    json: Json = False,
) -> None:
    """List published protocols, show one, or run one from images to a report beside the paper's.

    A run has a folder in the workspace's recipes/, its store is in datasets/, its models in
    saved_models/. Whatever is changed (--backbone, --set build.crop_px=32) is named in the report.
    """
    check_known(action, _ACTIONS, f"recipes cannot {action!r}")
    told = list(changes or ())
    if backbone is not None:
        told.append(f"experiment.model.backbone={backbone}")
    if weights is not None:
        told.append(f"experiment.model.weights={weights}")
    if action == "list":
        _list(workspace, json)
    elif action == "show":
        _show(_protocol(action, name, told), json)
    else:
        protocol = None
        if resume is None:
            protocol = _protocol(action, name, told)
        elif name or data or called or told:
            raise InputError("--resume repeats the recipe's own settings; give no others")
        _run(protocol, data, called, resume, slots, scheduler, backend, device, workspace, json)


def _protocol(action: str, name: str | None, changes: list[str]) -> ProtocolConfig:
    from stemcls.recipes.read import read_protocol, recipe_names

    if name is None:
        raise InputError(f"recipes {action} needs a name; one of: {', '.join(recipe_names())}")
    return read_protocol(name, changes)


def _list(workspace: Path, json: bool) -> None:
    from stemcls.recipes.read import read_protocol, recipe_names
    from stemcls.recipes.work import list_begun

    found = [read_protocol(name) for name in recipe_names()]
    begun = [run.summary() for run in list_begun(workspace)]
    if json:
        print_json({
            "recipes": [
                {"name": one.name, "summary": one.summary, "paper": one.paper.authors,
                 "classes": one.layout.classes, "steps": one.steps}
                for one in found
            ],
            "runs": begun,
        })
        return
    print_table(
        "recipes", ("name", "paper", "what"),
        ((one.name, one.paper.authors, one.summary) for one in found),
    )
    if begun:
        print_table(
            f"runs in {workspace / 'recipes'}", ("run", "state", "step", "message"),
            ((run["run"], run["state"], run["stage"] or "", run["message"] or "")
             for run in begun),
        )
    say("next: stemcls recipes show NAME   then   stemcls recipes run NAME --data FOLDER")


def _show(protocol: ProtocolConfig, json: bool) -> None:
    from stemcls.config.options import to_mapping, to_toml
    from stemcls.recipes.read import changes_of
    from stemcls.recipes.words import chosen_lines, expected

    if json:
        changed = changes_of(protocol)
        chosen = chosen_lines(protocol, changed)
        print_json(to_mapping(protocol) | {"changed": changed, "chosen": chosen})
        return
    paper, layout = protocol.paper, protocol.layout
    print(f"{protocol.name}: {protocol.summary}")
    print(f"{paper.authors}: {paper.title}. {paper.where}")
    stated = "" if layout.stated else " (an assumption: the paper gives no layout)"
    print(f"\nimages: {paper.data}")
    print(f"expected layout{stated}: {expected(Path('DATA'), layout)}")
    print(f"steps: {', '.join(protocol.steps)}")
    print("\nwhat the paper does not say, and what is done:")
    for line in chosen_lines(protocol, changes_of(protocol)):
        print(f"  - {line}")
    print()
    print_table(
        "the paper's figures", ("figure", "value", "where"),
        ((row.name, f"{row.paper:g}" + (f" +- {row.spread:g}" if row.spread else ""), row.where)
         for row in protocol.figures),
    )
    print(to_toml(protocol))


def _run(
    protocol: ProtocolConfig | None, data: Path | None, called: str, resume: Path | None,
    slots: int | None, scheduler: str | None, backend: str | None, device: str, workspace: Path,
    json: bool,
) -> None:
    from stemcls.models.backend import choose_backend, load_keras
    from stemcls.recipes.layout import find_images
    from stemcls.recipes.run import check_steps, run_recipe
    from stemcls.recipes.work import Work, create, reopen

    if resume is not None:
        run, protocol, data, kept_backend = reopen(resume, workspace)
        name = choose_backend(backend or kept_backend, device, shares_batches=True)
    elif protocol is not None:
        name = choose_backend(backend, device, shares_batches=True)
        if data is None:
            raise InputError(
                f"recipes run {protocol.name} needs --data FOLDER; `stemcls recipes show "
                f"{protocol.name}` says how it is laid out"
            )
        check_steps(protocol)
        find_images(data, protocol.layout)
        run = create(protocol, data, workspace, name, called)
    assert protocol is not None
    assert data is not None
    work = Work(
        run, protocol, data, name, run.read_json("results.json") or {}, progress, say, slots,
        scheduler,
    )
    say(f"recipe {run.path} on {name}")
    try:
        document = run_recipe(work, lambda: load_keras(device))
    except BaseException:
        if run.summary()["state"] in ("cancelled", "failed"):
            say(f"go on with: stemcls recipes run --resume {run.path}")
        raise
    if json:
        print_json(document)
        return
    _show_figures(document)


def _show_figures(document: dict[str, Any]) -> None:
    print_table(
        f"{document['recipe']}: the paper's figures and ours",
        ("figure", "paper", "ours", "95 % interval"),
        ((row["name"], f"{row['paper']:g}",
          number_text(row["ours"]), interval_text(row["interval"]))
         for row in document["figures"]),
    )
    if document["changed"]:
        say(f"NOT THE RECIPE: {len(document['changed'])} settings were changed:")
        for line in document["changed"]:
            say(f"  {line}")
    for step, why in document["not_done"].items():
        say(f"not done: {step}: {why}")
    say(f"report: {document['report']}")

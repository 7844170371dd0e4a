"""`stemcls simulate`: fields of cells about which everything is known."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from stemcls.commands.terminal import (
    Json,
    config_options,
    print_json,
    print_table,
    progress,
    resolved,
    say,
)
from stemcls.config.imaging import SimulateConfig


@config_options(SimulateConfig)
def simulate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="New folder for the fields and their truth.")
    ],
    given: dict[str, Any],
    json: Json = False,
) -> None:
    """Simulate fields of cells whose place, class and donor are known."""
    from stemcls.imaging.simulation import simulate as simulation

    config = resolved(SimulateConfig, given)
    with progress("simulate") as update:
        document = simulation.simulate(out, config, update)
    if json:
        print_json(document)
    else:
        _show(document, out, config)


def _show(document: dict[str, Any], out: Path, config: SimulateConfig) -> None:
    counts = Counter((entry["label"], entry["group"]) for entry in document["fields"])
    print_table(
        f"{document['cells']} cells in {len(document['fields'])} fields",
        ("class", "donor", "fields"), ((*key, count) for key, count in counts.items()),
    )
    wanted = config.cells * len(document["fields"])
    if document["cells"] < wanted:
        left_out = wanted - document["cells"]
        say(f"{left_out} of {wanted} cells found no room; larger fields hold more")
    say(f"the place, class and donor of every cell: {document['truth']}")
    folder, manifest = shlex.quote(str(out)), shlex.quote(document["manifest"])
    say(f"next: stemcls build {folder} --manifest {manifest} --group-what donor")

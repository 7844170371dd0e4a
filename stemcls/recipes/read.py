"""Read the protocols that come with the package, and change them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stemcls.config.options import from_mapping, merged, read_toml, to_mapping, with_assignments
from stemcls.config.protocol import ProtocolConfig
from stemcls.config.recipes import recipe
from stemcls.errors import InputError, check_known
from stemcls.tuning.study.definition import differences

PAPERS = Path(__file__).with_name("papers")


def recipe_names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in PAPERS.glob("*.toml"))


def read_protocol(name: str, changes: Sequence[str] = ()) -> ProtocolConfig:
    """Return a recipe.

    Args:
        name: One of `recipe_names`.
        changes: `SECTION.KEY=VALUE` each, laid on top.
    Raises:
        InputError: No such recipe or setting; names the nearest.
    """
    check_known(name, recipe_names(), f"there is no recipe {name!r}")
    plain = read_toml(PAPERS / f"{name}.toml")
    over = with_assignments({}, changes)
    if over.keys() & {"name", "paper", "figures"}:
        raise InputError("name, paper and figures say what the paper did, and cannot be changed")
    training = recipe(str(over.get("training", plain["training"])))
    plain["experiment"] = merged(training, plain["experiment"])
    return from_mapping(ProtocolConfig, merged(plain, over))


def changes_of(protocol: ProtocolConfig) -> list[str]:
    """Return one line for each setting that is not the recipe's own, `a.b: 1 there, 2 now`."""
    return differences(to_mapping(read_protocol(protocol.name)), to_mapping(protocol))

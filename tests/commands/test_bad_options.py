"""No number and no path that a user can type leads to anything but work or an error with exit 2."""

import dataclasses
import importlib
import inspect
import itertools
import math
import os
import pkgutil
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import stemcls.cli as cli
import stemcls.config
from stemcls.commands.table import COMMANDS
from stemcls.commands.terminal import with_checked_arguments
from stemcls.config.options import (
    from_mapping,
    merged,
    options_of,
    parse_assignment,
    read_toml,
)
from stemcls.errors import InputError, StemclsError
from stemcls.paths import check_ordinary, given_file, given_folder

VALUES = (
    math.inf, -math.inf, math.nan, -1, -0.5, 0, 2**32, 2**40, 10**400, "", "\0", [], [[]], {}, True
)
SECTIONS = ("build", "experiment", "audit", "curve", "embed", "explain", "model", "detect")


def config_classes() -> list[type]:
    modules = [
        importlib.import_module(f"stemcls.config.{module.name}")
        for module in pkgutil.iter_modules(stemcls.config.__path__)
    ]
    return [
        value for module in modules for name, value in vars(module).items()
        if isinstance(value, type) and hasattr(value, "__dataclass_fields__")
        and value.__module__ == module.__name__ and name != "Option"
    ]


def is_number(entry) -> bool:
    return any(kind in str(entry.type) for kind in ("int", "float"))


@pytest.mark.parametrize("cls", config_classes(), ids=lambda cls: cls.__name__)
def test_every_number_has_a_least_and_a_most(cls):
    open_ended = [
        ".".join(entry.keys) for entry in options_of(cls)
        if is_number(entry) and (entry.least is None or entry.most is None)
    ]
    assert not open_ended


@pytest.mark.parametrize("cls", config_classes(), ids=lambda cls: cls.__name__)
def test_any_value_is_within_the_bounds_or_an_input_error(cls):
    # A section that another class holds is tried by itself.
    for entry, value in itertools.product(options_of(cls), VALUES):
        if len(entry.keys) > 1 and entry.keys[0] in SECTIONS:
            continue
        nested = value
        for key in reversed(entry.keys):
            nested = {key: nested}
        try:
            config = from_mapping(cls, nested)
        except InputError:
            continue
        found = config
        for key in entry.keys:
            if isinstance(found, tuple):
                found = next(one for one in found if one.name == key)
            else:
                found = getattr(found, key)
        for one in found if isinstance(found, tuple) else (found,):
            if is_number(entry) and one is not None:
                assert math.isfinite(one)
                assert entry.least <= one <= entry.most


def test_a_value_out_of_range_names_setting_value_and_range():
    from stemcls.config.experiment import Experiment

    with pytest.raises(InputError, match=r"model\.l2: inf is above the most allowed, 100\.0; exp"):
        from_mapping(Experiment, {"model": {"l2": math.inf}})
    with pytest.raises(InputError, match=r"model\.l2: nan is no number; expected 0\.0 to 100\.0"):
        from_mapping(Experiment, {"model": {"l2": math.nan}})
    with pytest.raises(InputError, match=r"seed: 4294967296 is above the most allowed"):
        from_mapping(Experiment, {"seed": 2**32})
    with pytest.raises(InputError, match=r"model\.dense: -5 is below the least allowed, 1; expec"):
        from_mapping(Experiment, {"model": {"dense": -5}})
    with pytest.raises(InputError, match=r"learning_rate: 0\.0 is below the least allowed"):
        from_mapping(Experiment, {"stages": {"frozen": {"learning_rate": 0}}})


@pytest.mark.parametrize(
    "text",
    [
        f"seed = {'[' * 5000}", f"seed = {'9' * 5000}", "a." * 5000 + "b = 1", "\0", "\ud800",
        "x = " + '"' * 3, "[" * 3000,
    ],
    ids=["lists", "digits", "keys", "null", "surrogate", "quotes", "tables"],
)
def test_toml_without_end_is_an_input_error(tmp_path, text):
    from stemcls.config.experiment import Experiment

    path = tmp_path / "deep.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError):
        from_mapping(Experiment, read_toml(path))
    with pytest.raises(InputError):
        from_mapping(Experiment, merged({"model": {}}, parse_assignment(text)))


def test_a_toml_file_of_notepad_is_read(tmp_path):
    (tmp_path / "c.toml").write_text("seed = 3\n", encoding="utf-8-sig")
    assert read_toml(tmp_path / "c.toml") == {"seed": 3}


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One option or argument of a command, as its function declares it."""

    name: str
    types: tuple[type, ...]
    origins: tuple[Any, ...]
    about: Any
    required: bool

    @property
    def flag(self) -> str:
        declared = getattr(self.about, "param_decls", None)
        return declared[0] if declared else f"--{self.name.rstrip('_').replace('_', '-')}"


def parameters(name: str) -> Iterator[Parameter]:
    for parameter in inspect.signature(COMMANDS[name], eval_str=True).parameters.values():
        if typing.get_origin(parameter.annotation) is not typing.Annotated:
            continue
        hint, about = typing.get_args(parameter.annotation)
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            hint = next((one for one in typing.get_args(hint) if one is not type(None)), hint)
        required = parameter.default is inspect.Parameter.empty
        yield Parameter(
            parameter.name, (hint, *typing.get_args(hint)), (typing.get_origin(hint),), about,
            required,
        )


NUMBERS = [
    pytest.param(name, parameter, id=f"{name} {parameter.flag}")
    for name in COMMANDS for parameter in parameters(name)
    if {int, float} & set(parameter.types)
]
OF_CONFIGS = {entry.parameter for cls in config_classes() for entry in options_of(cls)}


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_every_number_of_every_command_has_bounds(name, parameter):
    if parameter.name in OF_CONFIGS and parameter.about.min is None:
        return  # `from_mapping` holds its range
    assert parameter.about.min is not None
    assert parameter.about.max is not None


PATHS = [
    pytest.param(name, parameter, id=f"{name} {parameter.flag}")
    for name in COMMANDS for parameter in parameters(name) if Path in parameter.types
]


def call(name: str, parameter: Parameter, value: str) -> Exception | None:
    """Run a command as the command line does, with one path; return the error."""
    given = {}
    for other in inspect.signature(COMMANDS[name], eval_str=True).parameters.values():
        given[other.name] = None if other.default is inspect.Parameter.empty else other.default
    for other in parameters(name):
        if other.name == parameter.name:
            given[other.name] = [Path(value)] if list in other.origins else Path(value)
        elif other.required:
            nothing: Any = Path("there-is-none") if Path in other.types else "onnx"
            given[other.name] = [nothing] if list in other.origins else nothing
    try:
        with_checked_arguments(COMMANDS[name])(**given)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return error
    return None


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("dangling").symlink_to("nowhere")
    Path("round").symlink_to("round")
    Path("folder").mkdir()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "parameter"), PATHS)
def test_a_pipe_is_refused_at_once_by_every_path_of_every_command(name, parameter):
    error = call(name, parameter, "pipe")
    assert isinstance(error, InputError)
    assert "pipe is a named pipe: expected a file or folder" in str(error)


# They need no input, so they would do their work.
_SELF_SUFFICIENT = ("bench", "demo", "doctor", "simulate", "tui", "recipes", "runs", "weights")
INPUTS = [
    pytest.param(name, parameter, id=f"{name} {parameter.flag}")
    for name in COMMANDS if name not in _SELF_SUFFICIENT
    for parameter in parameters(name)
    if Path in parameter.types and parameter.name not in ("workspace", "out", "overlay", "sheet")
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "parameter"), INPUTS)
def test_a_missing_file_and_an_empty_folder_are_bad_input(name, parameter):
    for value in ("missing", "folder"):
        error = call(name, parameter, value)
        assert isinstance(error, StemclsError | OSError), f"{value}: {error!r}"
        if isinstance(error, OSError):
            assert error.errno in cli.OF_PATHS
        else:
            assert error.exit_code == 2, f"{value}: {error}"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/dev/zero", "/dev/zero is a device"), ("dangling", "is a link to nowhere, which does no"),
        ("round", "cannot be used: Too many levels"), ("x" * 5000, "cannot be used: File name too"),
        ("pipe", "is a named pipe"),
    ],
)
def test_what_is_neither_file_nor_folder_is_refused_with_exit_code_2(path, message):
    result = CliRunner().invoke(cli.app, ["info", path])
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_a_file_is_no_workspace(tmp_path):
    (tmp_path / "f").touch()
    result = CliRunner().invoke(cli.app, ["runs", "--workspace", str(tmp_path / "f")])
    assert "--workspace" in str(result.exception)
    assert "is a file: expected a folder" in str(result.exception)


def test_a_file_and_a_folder_are_told_apart(tmp_path):
    file = tmp_path / "f"
    file.write_text("x")
    assert given_file(file, "table") == file
    assert given_folder(tmp_path, "SRC") == tmp_path
    assert check_ordinary(tmp_path / "none") is None
    with pytest.raises(InputError, match=r"table .* is a folder: expected a file"):
        given_file(tmp_path, "table")
    with pytest.raises(InputError, match=r"table .* does not exist: expected a file"):
        given_file(tmp_path / "none", "table")
    with pytest.raises(InputError, match=r"SRC .* is a file: expected a folder"):
        given_folder(file, "SRC")
    with pytest.raises(InputError, match=r"SRC .* does not exist"):
        given_folder(file / "below", "SRC")
    with pytest.raises(InputError, match=r"cannot be used: .*null"):
        check_ordinary(Path("a\0b"))

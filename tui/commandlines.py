"""The command lines of the jobs that the UI launches."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import tomli_w

from stemcls import atomic
from stemcls.config.experiment import Experiment
from stemcls.config.options import from_mapping, option, read_toml, to_toml
from stemcls.errors import InputError
from stemcls.runs import Run
from tui import jobs
from tui.devices import list_devices
from tui.jobs import RESUMABLE, Job

BACKENDS = ("tensorflow", "jax", "torch")
DEFAULT_BACKEND = "default"
_BACKEND = option(
    DEFAULT_BACKEND, "What Keras runs on; default: KERAS_BACKEND, else tensorflow.",
    choices=(DEFAULT_BACKEND, *BACKENDS),
)


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a training run is started; not part of the experiment that it keeps."""

    folds: int = option(
        0, "Cross-validate in this many grouped folds; 0: one run.", least=0, most=100
    )
    backend: str = _BACKEND

    def __post_init__(self) -> None:
        """Check what no range can tell."""
        if self.folds == 1:
            raise InputError("folds: expected 0 for one run, or 2 and more, found 1")

    @property
    def arguments(self) -> list[str]:
        """What it adds to `stemcls train`."""
        return ["--folds", str(self.folds)] if self.folds else []


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search for the best settings, around the experiment below."""

    trials: int = option(30, "Settings to try.", least=1, most=100_000)
    folds: int = option(3, "Grouped folds that score a setting.", least=1, most=100)
    backbones: tuple[str, ...] = option(
        (), "Networks to search among; none: the one of the experiment."
    )
    max_hours: float = option(
        0.0, "Begin no fold after this many hours; 0: no limit.", least=0.0, most=100_000.0
    )
    space: str = option("", "TOML file of the search space; none: what usually matters.")
    objective: str = option("balanced_accuracy", "Metric to improve, or CLASS.sensitivity.")
    algorithm: str = option(
        "ei", "How settings are suggested: expected improvement, at random, by KerasTuner, or "
        "hyperband.", choices=("ei", "random", "kerastuner", "hyperband"),
    )
    racing: bool = option(True, "Give up settings that are hopeless after their first folds.")
    backend: str = _BACKEND

    def __post_init__(self) -> None:
        """Check what no range can tell."""
        if self.space and not Path(self.space).is_file():
            raise InputError(f"space: there is no file {self.space}")

    @property
    def arguments(self) -> list[str]:
        """What it adds to `stemcls tune`."""
        argv = ["--trials", str(self.trials), "--folds", str(self.folds)]
        for name in self.backbones:
            argv += ["--backbone", name]
        argv += ["--objective", self.objective, "--algorithm", self.algorithm]
        argv.append("--racing" if self.racing else "--no-racing")
        if self.space:
            argv += ["--space", str(Path(self.space).resolve())]
        if self.max_hours:
            argv += ["--max-hours", f"{self.max_hours:g}"]
        return argv


Task = Training | Search


def argv_of(
    task: Task, store: Path, config: Path, workspace: Path, device: str
) -> list[str]:
    """Return the command line of a task on `store` as the TOML file `config` says."""
    backend = [] if task.backend == DEFAULT_BACKEND else ["--backend", task.backend]
    return [
        *_stemcls(isinstance(task, Search)), str(store), "--config", str(config),
        *task.arguments, *_device(isinstance(task, Search), device), *backend,
        "--workspace", str(workspace),
    ]


def resume_argv(run: Run, workspace: Path, device: str) -> list[str]:
    """Return the command line that goes on with `run`, on the backend it began with."""
    backend = backend_of(run)
    return [
        *_stemcls(run.is_study), "--resume", str(run.path), *_device(run.is_study, device),
        *(["--backend", backend] if backend else []), "--workspace", str(workspace),
    ]


def backend_of(run: Run) -> str:
    """Return the backend that a run began with, "" where it did not say."""
    for name in ("environment.json", "folds/fold-1/environment.json"):
        backend = (run.read_json(name) or {}).get("backend")
        if backend in BACKENDS:
            return str(backend)
    return ""


def start(workspace: Path, store: Path, experiment: Experiment, task: Task, device: str) -> Job:
    """Queue a training run or a search on `store`; the config is kept beside its log."""
    return jobs.launch(
        workspace, experiment.name or store.stem,
        lambda config: argv_of(task, store, config, workspace, device), to_toml(experiment), device,
    )


def demo(workspace: Path) -> Job:
    """Queue `stemcls demo`: simulated cells, from fields to a model."""
    device = list_devices()[0].key
    argv = [sys.executable, "-m", "stemcls", "demo", "--workspace", str(workspace)]
    return jobs.launch(workspace, "demo", lambda _: [*argv, "--device", device], "", device)


def resume(workspace: Path, run: Run, device: str) -> Job:
    """Go on with an interrupted run in a new process.

    Raises:
        InputError: It is finished, still has a process, is just being resumed, or ran on a cluster.
    """
    state = run.summary()["state"]
    if state not in RESUMABLE:
        raise InputError(
            f"{run.name} is {state}: only a run that is {', '.join(RESUMABLE[:-1])} or waiting can "
            "be resumed" + ("; stop it first" if state in ("running", "stalled") else "")
        )
    if any(job.run == str(run.path) and job.alive for job in jobs.open_jobs(workspace)):
        raise InputError(f"{run.name} is being resumed already")
    if jobs.last_start(run).get("device") == "cluster":
        raise InputError(
            f"{run.name} ran on a cluster: stemcls tune --resume {run.path} --scheduler ADDRESS"
        )
    return jobs.launch(
        workspace, run.name, lambda _: resume_argv(run, workspace, device), "", device,
        str(run.path),
    )


def again(workspace: Path, run: Run, device: str) -> Job:
    """Launch a run, a cross-validation or a search once more, as a new job from its settings.

    Raises:
        InputError: Its settings cannot be read.
    """
    if run.is_study:
        return _search_again(workspace, run, device)
    experiment = from_mapping(Experiment, read_toml(run.path / "config.toml"))
    backend = backend_of(run) or DEFAULT_BACKEND
    task = Training(folds=len(run.folds()), backend=backend)
    return start(workspace, Path(experiment.store), experiment, task, device)


def _search_again(workspace: Path, run: Run, device: str) -> Job:
    path = run.path / "study.toml"
    plain = read_toml(path)
    try:
        experiment = from_mapping(Experiment, plain["experiment"])
        # As `stemcls tune --space` takes it: a table for each setting, under its key.
        space = {entry["key"]: {name: value for name, value in entry.items() if name != "key"}
                 for entry in plain["space"]["dimensions"]}
        names = ("trials", "folds", "objective", "algorithm", "racing", "backend")
        task = Search(**{name: plain[name] for name in names})
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} lacks what describes a study: {error!r}") from error
    store = Path(experiment.store)

    def argv(config: Path) -> list[str]:
        written = config.with_suffix(".space.toml")
        atomic.write_text(written, tomli_w.dumps(space))
        return argv_of(replace(task, space=str(written)), store, config, workspace, device)

    return jobs.launch(
        workspace, experiment.name or store.stem, argv, to_toml(experiment), device
    )


def _stemcls(search: bool) -> list[str]:
    return [sys.executable, "-m", "stemcls", "tune" if search else "train"]


def _device(search: bool, device: str) -> list[str]:
    return ["--devices" if search else "--device", device]

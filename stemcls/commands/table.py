"""The table of commands: one row each, in the order that help shows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemcls.commands.adapt import adapt
from stemcls.commands.audit import audit
from stemcls.commands.bench import bench
from stemcls.commands.build import build
from stemcls.commands.calibrate import calibrate
from stemcls.commands.compare import compare
from stemcls.commands.curve import curve
from stemcls.commands.demo import demo
from stemcls.commands.detect import detect
from stemcls.commands.doctor import doctor
from stemcls.commands.embed import embed
from stemcls.commands.ensemble import ensemble
from stemcls.commands.evaluate import evaluate
from stemcls.commands.explain import explain
from stemcls.commands.export import export
from stemcls.commands.info import info
from stemcls.commands.morphometry import morphometry
from stemcls.commands.populations import populations
from stemcls.commands.predict import predict
from stemcls.commands.rank import rank
from stemcls.commands.recipes import recipes
from stemcls.commands.report import report
from stemcls.commands.runs import runs
from stemcls.commands.serve import serve
from stemcls.commands.simulate import simulate
from stemcls.commands.train import train
from stemcls.commands.tui import tui
from stemcls.commands.tune import tune
from stemcls.commands.weights import weights

COMMANDS: dict[str, Callable[..., Any]] = {
    "simulate": simulate,
    "demo": demo,
    "detect": detect,
    "build": build,
    "info": info,
    "morphometry": morphometry,
    "rank": rank,
    "train": train,
    "tune": tune,
    "adapt": adapt,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "audit": audit,
    "curve": curve,
    "embed": embed,
    "compare": compare,
    "ensemble": ensemble,
    "explain": explain,
    "predict": predict,
    "serve": serve,
    "populations": populations,
    "report": report,
    "export": export,
    "recipes": recipes,
    "runs": runs,
    "weights": weights,
    "doctor": doctor,
    "tui": tui,
    "bench": bench,
}

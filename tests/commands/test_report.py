"""`stemcls report` is one page that holds everything and needs nothing else."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stemcls import atomic
from stemcls.runs import Run

from .conftest import NAMES

_SECTIONS = (
    "verdict", "scores", "data", "figures", "labels", "calibration", "external", "saliency",
    "audit", "methods", "checklist", "settings",
)


class _Reader(HTMLParser):
    """Collects ids, addresses, text and unclosed tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.alone = {"meta", "img", "br", "link"}

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "id" in given:
            self.ids.add(given["id"])
        self.addresses += [given[key] for key in ("src", "href") if key in given]
        if tag == "img":
            assert given["alt"]
        if tag not in self.alone:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(path: Path) -> _Reader:
    content = path.read_text(encoding="utf-8")
    page = _Reader()
    page.feed(content)
    page.close()
    assert page.open == []
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(|<script|<link", content)
    assert {address[1:] for address in page.addresses if address[0] == "#"} <= page.ids
    page.text = " ".join(page.text.split())
    return page


@pytest.fixture(scope="module")
def page(assessed: Path, calibrated: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a run that other commands have left something in."""
    from stemcls.evaluation.report.write import write_report

    folder = tmp_path_factory.mktemp("reported") / "plain"
    shutil.copytree(next((assessed / "saved_models").glob("plain-*")), folder)
    explained = folder / "explanations" / "20260101"
    (explained / "gradcam").mkdir(parents=True)
    shutil.copy(folder / "calibrated" / "reliability.png", explained / "gradcam" / "row-7.png")
    atomic.write_json(explained / "explanation.json", {
        "out": "moved/<b>", "rows": [7, 9],
        "files": ["moved/<b>/gradcam/row-7.png", "moved/<b>/gradcam/gone.png"],
    })
    split = json.loads((folder / "split.json").read_text())
    atomic.write_json(folder / "evaluation" / "audit.json", {
        "store_hash": split["store_hash"], "not_run": [],
        "checks": [{"name": "shared-groups", "title": "groups on both sides", "status": "warn",
                    "value": 0.0, "interval": None, "why": "none shared", "todo": "look"}],
    })
    store = folder / "evaluation" / "elsewhere-12345678"
    store.mkdir()
    own = json.loads((folder / "evaluation" / "metrics.json").read_text())
    own["metrics"] |= {"evaluated_on": "elsewhere.h5", "internal": dict(own["metrics"])}
    atomic.write_json(store / "metrics.json", own)
    return write_report(Run(folder))


def test_the_report_is_one_file_without_addresses_and_holds_every_part(page):
    run = page.parent
    read = read_page(page)
    assert set(_SECTIONS) <= read.ids
    pictures = [address for address in read.addresses if address.startswith("data:")]
    assert len(pictures) >= 9
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"]
    for text in (
        f"{metrics['mean_recall']:.3f}", *NAMES, "gradcam, row 7", "groups on both sides",
        "elsewhere-12345678", "Temperature", "the coarsest map of the network",
        "balanced accuracy (sens + spec)/2, chance 1/2", "Reporting checklist",
        'backbone = "TinyCNN"',
    ):
        assert text in read.text, text


def test_a_browser_shows_the_report_without_errors_or_a_network(page, browse):
    shown = browse(page, "({sections: document.querySelectorAll('section').length,"
                   " seen: [...document.images].map(i => i.naturalWidth > 0)})")
    assert shown["sections"] == len(_SECTIONS)
    assert len(shown["seen"]) >= 9
    assert all(shown["seen"])


def test_methods_and_checklist_say_what_the_run_did(page):
    text = read_page(page).text
    split = json.loads((page.parent / "split.json").read_text())
    assert f"{len(split['train'])} train ({len(split['units']['train'])} donors)" in text
    assert "No donor was on two sides." in text
    assert "TinyCNN with random weights" in text
    assert "Stage scratch: the whole network" in text
    assert "95 % percentile intervals from resampling" in text
    assert re.search(r"shortcuts looked for\?\s*yes\s*0 checks passed, 1 warned, 0 failed", text)
    assert "1 of 1 audit checks warned: none shared" in text
    assert text.index("How good") < text.index("Confusion matrix") < text.index("log loss")


def test_the_figures_of_a_report_are_written_for_a_paper(run, tmp_path):
    from stemcls.evaluation.report.source import read_source
    from stemcls.evaluation.report.write import write_figures

    written = {path.name for path in write_figures(read_source(Run(run)), tmp_path / "figures")}
    assert {"confusion.pdf", "confusion.svg", "roc.pdf", "cells-1.pdf"} <= written
    assert (tmp_path / "figures" / "roc.pdf").read_bytes()[:4] == b"%PDF"


def test_the_report_of_a_moved_workspace_finds_its_store(run, tmp_path):
    from stemcls.evaluation.report.source import read_source
    from stemcls.evaluation.runfiles import read_experiment

    moved = tmp_path / "moved"
    shutil.copytree(run, moved / "saved_models" / "r", ignore=shutil.ignore_patterns("calibrated"))
    (moved / "datasets").mkdir()
    shutil.copyfile(read_experiment(Run(run)).store, moved / "datasets" / "other name.h5")
    config = moved / "saved_models" / "r" / "config.toml"
    config.write_text(re.sub(r'(?m)^store = .*$', 'store = "/gone/striped.h5"', config.read_text()))
    source = read_source(Run(moved / "saved_models" / "r"))
    assert source.store.path == moved / "datasets" / "other name.h5"


def test_a_report_without_its_store_says_so_and_shows_the_rest(
    run, tmp_path, unpainted
):
    from stemcls.evaluation.report.write import write_report

    copy = tmp_path / "moved"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("calibrated"))
    config = (copy / "config.toml").read_text().splitlines()
    config = ['store = "/no/such/store.h5"' if line.startswith("store =") else line
              for line in config]
    (copy / "config.toml").write_text("\n".join(config))
    text = read_page(write_report(Run(copy))).text
    assert "The crops themselves could not be read" in text
    assert "Not calibrated" in text


def test_only_finished_runs_are_reported_and_nothing_is_overwritten(ask, run, tmp_path):
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "events.jsonl").touch()
    told = ask("report", tmp_path / "begun", code=2)
    assert "is waiting, and a report is of a finished run" in told
    taken = tmp_path / "taken.html"
    taken.touch()
    assert "exists and is not overwritten" in ask("report", run, "--out", taken, code=2)


def test_a_study_names_its_own_report(ask, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    for name in ("events.jsonl", "study.toml"):
        (study / name).touch()
    told = ask("report", study, code=2)
    assert "is a study that is waiting" in told
    assert "stemcls tune --resume" in told
    page = study / "report" / "report.html"
    page.parent.mkdir()
    page.write_text("<!doctype html>")
    assert ask("report", study) == {"report": str(page), "bytes": 15}
    assert f"has its report already, {page}" in ask("report", study, "--consistency", code=2)

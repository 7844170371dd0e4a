"""`stemcls audit` prints and keeps one document, whose age can be told."""

from __future__ import annotations

import json

from stemcls.store.auditfile import audit_path, read_audit, write_audit


def test_the_result_is_printed_and_kept_beside_the_store(invoke, clean_store, tmp_path) -> None:
    done = invoke("audit", clean_store, "--json", "--shuffles", 199, "--workspace", tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"name", "status", "value", "why", "interval", "todo"} <= set(document["checks"][0])
    kept = read_audit(audit_path(clean_store), document["store_hash"])
    assert kept is not None
    assert not kept.stale
    assert kept.worst == document["status"] == "pass"
    assert kept.checks == document["checks"]


def test_an_audit_of_other_crops_is_stale(tmp_path) -> None:
    path = tmp_path / "x.audit.json"
    check = {"name": "groups", "title": "?", "status": "warn", "why": "because"}
    write_audit(path, {"store_hash": "old", "checks": [check]})
    result = read_audit(path, "new")
    assert result is not None
    assert result.stale
    assert result.worst == "warn"
    path.write_text('{"checks": [{"status": "odd"}]}')
    assert read_audit(path, "new") is None


def test_strict_ends_with_1_where_a_check_warns(invoke, clean_store, tmp_path) -> None:
    done = invoke(
        "audit", clean_store, "--strict", "--classes", "class 0", "--classes", "class 1",
        "--shuffles", 199, "--out", tmp_path / "other.json",
    )
    assert done.returncode == 0, done.stderr
    assert "Not told: it needs a run" in done.stdout
    assert (tmp_path / "other.json").is_file()
    done = invoke("audit", tmp_path / "missing.h5")
    assert done.returncode == 2
    assert "there is no store" in done.stderr

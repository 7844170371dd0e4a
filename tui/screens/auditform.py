"""The form of `stemcls audit`: how a store is searched for leaks and shortcuts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textual.widget import Widget

from stemcls.config.options import from_mapping, option, options_of
from stemcls.config.probes import HEAD_FLAGS, AuditConfig
from stemcls.errors import nearest
from stemcls.store.auditfile import audit_path
from stemcls.store.cropstore import CropStore
from tui import tasks
from tui.flags import changed, flags
from tui.screens.taskform import TaskForm, section
from tui.tasks import Task
from tui.widgets.setting import Setting


@dataclass(frozen=True, kw_only=True)
class Where:
    """What the features of a backbone are computed on."""

    device: str = option("auto", "auto, cpu, or the number of a GPU; for a backbone only.")


class AuditForm(TaskForm):
    """Choose settings and start `stemcls audit`.

    Args:
        workspace: Where it works.
        store: What is audited.
    """

    def __init__(self, workspace: Path, store: CropStore) -> None:
        super().__init__(workspace)
        self._store = store
        self._offered = [one for one in options_of(AuditConfig) if one.flag not in HEAD_FLAGS]

    @property
    def title_text(self) -> str:
        """The store."""
        return f"audit {self._store.path.name}"

    def sections(self) -> Iterator[Widget]:
        """How the audit goes, then the network, which only some audits use."""
        yield section("can a score be believed? Leaks between groups, shortcuts past the cells")
        yield from self._settings(network=False)
        yield section("the network, for features = backbone")
        yield from self._settings(network=True)
        yield from (Setting(entry, Where) for entry in options_of(Where))

    def _settings(self, network: bool) -> Iterator[Setting]:
        for entry in self._offered:
            if (entry.keys[0] == "model") == network:
                yield Setting(entry, AuditConfig)

    def judge(self) -> str:
        """Return what is wrong beyond single settings."""
        config = from_mapping(AuditConfig, self.values(AuditConfig))
        for name in config.classes:
            if name not in self._store.classes:
                return (f"classes: the store knows no class {name!r}"
                        f"{nearest(name, self._store.classes)}")
        return ""

    def launch(self) -> Task:
        """Start the command."""
        arguments = [
            str(self._store.path), *flags(changed(self._offered, self.values(AuditConfig))),
            *flags(changed(options_of(Where), self.values(Where))),
        ]
        path = self._store.path
        return tasks.start(self.workspace, "audit", path.name, arguments, audit_path(path))

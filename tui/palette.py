"""The command palette: what can be done here, by name."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode

from tui.commands import PLACES
from tui.places import Command, places_on

_KEYS_OF_FIELDS = "fields"


class StemclsCommands(Provider):
    """Commands of the places that have the keys, and of the whole app."""

    async def discover(self) -> Hits:
        """Yield every command."""
        for name, command, run in self._commands():
            yield DiscoveryHit(name, run, help=command.help)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match."""
        matcher = self.matcher(query)
        for name, command, run in self._commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), run, help=command.help)

    def _commands(self) -> list[tuple[str, Command, partial[None]]]:
        found = []
        for place, node in places_on(self.screen):
            if place == _KEYS_OF_FIELDS:
                continue
            for command in PLACES[place].commands:
                if command.action in ("command_palette", "jump"):
                    continue
                title = PLACES[place].title if place != "app" else "stemcls"
                name = f"{title}: {command.label} ({command.key})"
                found.append((name, command, partial(self._run, command.action, node)))
        return found

    def _run(self, action: str, node: DOMNode) -> None:
        self.app.call_later(self.app.run_action, action, node)

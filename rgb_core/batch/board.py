"""Where workers of a batch report to: an actor, which imports nothing else and so is there at once."""

from typing import Any, Protocol


class Board(Protocol):
    """Where a worker reports to."""

    def tell(self, event: dict[str, Any]) -> None:
        """Take one event: the subject and the stage, with what there is to say."""


class BoardActor:
    """Keeps what workers tell until the driver takes it."""

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []

    def tell(self, event: dict[str, Any]) -> None:
        """See `Board`."""
        self._events.append(event)

    def take(self) -> list[dict[str, Any]]:
        """What was told since the last time."""
        taken, self._events = self._events, []
        return taken


class RemoteBoard:
    """The board as a worker sees it: telling never waits and never fails."""

    def __init__(self, actor: Any):
        self._actor = actor

    def tell(self, event: dict[str, Any]) -> None:
        """See `Board`."""
        self._actor.tell.remote(event)

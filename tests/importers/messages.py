"""Progress that keeps what is said, and can interrupt like a user."""


class Messages:
    """Collects messages; raises KeyboardInterrupt after `interrupt_after` units of the stage that is named."""

    def __init__(self, interrupt_stage: str | None = None, interrupt_after: int = 0) -> None:
        self.lines: list[str] = []
        self.stages: dict[str, int] = {}
        self._interrupt = interrupt_stage, interrupt_after
        self._current = ("", 0)

    def start(self, stage: str, total: int, done: int = 0) -> None:
        self.stages[stage] = total
        self._current = stage, done

    def advance(self, units: int = 1, **values: float) -> None:
        stage, done = self._current
        self._current = stage, done + units
        if self._current == self._interrupt:
            raise KeyboardInterrupt

    def message(self, text: str) -> None:
        self.lines.append(text)

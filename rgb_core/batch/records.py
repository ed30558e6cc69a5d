"""What a batch remembers of a subject beside its stages' folders: what each stage took, and how the subject failed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import read_text, write_text

RECORD, LOG = "batch.json", "log.txt"
"""Files of a subject's folder."""
_FORMAT, _VERSION = "rgb-batch-subject", 1


@dataclass(frozen=True)
class Taken:
    """What one stage of a subject took, in the run that finished it."""

    seconds: float
    memory_mb: float
    """Most memory of the process, of the machine."""
    gpu_mb: float
    """Most memory that torch held on the GPU; 0 without one."""
    disk_mb: float
    """Size of what the stage left on the disk."""
    device: str
    """What computed, in words."""


@dataclass(frozen=True)
class Failure:
    """Why a subject ended."""

    stage: str
    sentence: str


@dataclass
class SubjectRecord:
    """The record of one subject, kept in its folder."""

    entry: str = ""
    """Fingerprint of the subject's row of the manifest."""
    stages: dict[str, Taken] = field(default_factory=dict)
    finished: bool = False
    """Whether all that the row asks for is made."""
    failure: Failure | None = None

    @property
    def seconds(self) -> float:
        """Of all stages together."""
        return sum(taken.seconds for taken in self.stages.values())

    def save(self, folder: Path) -> None:
        """Write the record into the subject's folder, whole or not at all."""
        write_text(folder / RECORD, json.dumps({"format": _FORMAT, "version": _VERSION, **asdict(self)}, indent=1))


def load_record(folder: Path, entry: str) -> SubjectRecord:
    """What an earlier run noted about the subject in `folder`; an empty record where the row `entry` has changed."""
    try:
        values: dict[str, Any] = json.loads(read_text(folder / RECORD))
        if (values.pop("format"), values.pop("version")) != (_FORMAT, _VERSION) or values["entry"] != entry:
            return SubjectRecord(entry)
        failure = values["failure"] and Failure(**values["failure"])
        stages = {name: Taken(**taken) for name, taken in values["stages"].items()}
        return SubjectRecord(entry, stages, bool(values["finished"]), failure)
    except (InputError, ValueError, KeyError, TypeError, AttributeError):  # none yet, or not ours: stages decide anyway
        return SubjectRecord(entry)

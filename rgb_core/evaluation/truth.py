"""Which ground truth the test frames of a dataset have."""

from dataclasses import dataclass

from torch import Tensor

from ..data import Dataset, Frame, GroundTruth
from ..errors import InputError
from ..scene import Camera, Light
from ..scene.lamps import main_direction
from .shadows import cast_shadow


@dataclass(frozen=True, eq=False)
class Truth:
    """Where the truth lies, ids of the test frames with each kind of it, and the lights they were relit under."""

    files: GroundTruth
    albedo: frozenset[str]
    normal: frozenset[str]
    mesh: frozenset[str]
    relit: dict[str, frozenset[str]]
    """Frame ids by environment."""
    lights: dict[str, Light]
    """By environment."""
    light: Light | None
    """The light of the clip itself, where it is known."""

    @property
    def picture_ids(self) -> frozenset[str]:
        """Frames with at least one true picture beside the clip's own."""
        return self.albedo.union(self.normal, *self.relit.values())

    def cast_shadow(self, frame: Frame, name: str, camera: Camera) -> Tensor | None:
        """bool [H, W]: pixels in the cast shadow of the main lamp of environment `name`; None without one or without
        the true mesh."""
        direction = main_direction(self.lights[name].radiance)
        if direction is None or frame.id not in self.mesh:
            return None
        return cast_shadow(*self.files.mesh(frame.id), camera, direction)


def find_truth(dataset: Dataset, frames: tuple[Frame, ...]) -> Truth:
    """The ground truth that `dataset` has for `frames`; empty for a real clip.

    Raises:
        InputError: when frames were relit under a light that is not in the dataset.
    """
    files = dataset.ground_truth or GroundTruth(dataset.folder / "ground_truth", (dataset.width, dataset.height))
    ids = frozenset(frame.id for frame in frames)

    def having(kind: str) -> frozenset[str]:
        return ids & {path.stem for path in (files.folder / kind).glob("*.*")}

    relit = {name: ids & set(files.relit_ids(name)) for name in files.relit_names}
    relit = {name: found for name, found in relit.items() if found}
    envmaps = dataset.envmaps
    for name in relit:
        if name not in envmaps:
            raise InputError(f"{files.folder}/relit/{name} has pictures but {dataset.folder}/envmaps has no {name}.hdr")
    return Truth(
        files=files,
        albedo=having("albedo"),
        normal=having("normal"),
        mesh=having("mesh"),
        relit=relit,
        lights={name: Light.load(envmaps[name]) for name in relit},
        light=files.light() if (files.folder / "envmap.hdr").is_file() else None,
    )

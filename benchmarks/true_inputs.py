"""What relighting would be if the fit knew the truth of one thing:
`python benchmarks/true_inputs.py light|albedo|mesh OUT GEOMETRY DATASET ...`.

Stage 2 as `rgb fit-gaussians` runs it, with one true input of the dataset in place of what is to be found:

- light: the light of the clip, held; albedos start at its level.
- albedo: every Gaussian has what the frames with true albedo show of it, held; what none shows has its neighbour's.
- mesh: the neutral vertices of the parts that touch the air lie on the true surface, as the frames that have it say.

GEOMETRY holds a folder of `rgb fit-geometry` for every dataset, by its name. Prints the same scores as
`benchmarks/subjects.py`, to be compared with a fit of the same settings.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from scipy.spatial import cKDTree
from subjects import COLUMNS, scores
from torch import Tensor
from torch.nn.functional import normalize
from torchoptixext_visibility import MeshBvh

from rgb_core.avatar import materials
from rgb_core.data import Dataset, Frame, GroundTruth, load_dataset
from rgb_core.devices import resolve_device
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.fitting.loop import run_fit
from rgb_core.geometry import Geometry, load_geometry
from rgb_core.heads import vertex_normals
from rgb_core.heads.regions import OUTER_SKIN, in_regions
from rgb_core.images import rgba_to_linear
from rgb_core.presets import load_preset
from rgb_core.progress import Silent
from rgb_core.rendering import Renderer
from rgb_core.training import GaussianConfig
from rgb_core.training.fit import GaussianFit
from rgb_core.training.light import LightParameters, mean_radiance

_ALBEDO_RANGE = 0.005, 0.95
_FACING = 0.3  # least cosine to the camera of what counts as seen
_CLEARANCE = 1e-3  # metres in front of a Gaussian within which nothing hides it
_REACH = 0.02  # metres from the fitted to the true surface that are still the same place
_ROUNDS = 2  # of moving the mesh to where the truth is nearest


def true_inputs(dataset: Dataset) -> GroundTruth:
    """The truth of a dataset that has it."""
    assert dataset.ground_truth is not None, f"{dataset.folder} has no truth"
    return dataset.ground_truth


def frames_with(dataset: Dataset, kind: str, suffix: str) -> Iterator[Frame]:
    """The test frames that have a true picture or mesh of a kind."""
    known = {path.stem for path in (true_inputs(dataset).folder / kind).glob(f"*{suffix}")}
    return (frame for frame in dataset.frames("test") if frame.id in known)


class HeldLight(LightParameters):
    """A light that stays as it is."""

    def __init__(self, radiance: Tensor):
        super().__init__(torch.zeros_like(radiance), torch.ones_like(radiance[:, 0, 0]))
        self._radiance = radiance

    def envmap(self) -> Tensor:
        """Linear radiance [3, H, W]."""
        return self._radiance


class TrueLightFit(GaussianFit):
    """A fit of a dataset under its true light."""

    def __init__(self, dataset: Dataset, geometry: Geometry, config: GaussianConfig, device: torch.device):
        super().__init__(dataset, geometry, config, Silent(), 0, True, device)
        self._true = true_inputs(dataset).light().resampled(*self.avatar.light.size).radiance.to(device)

    def start(self) -> None:
        """Colour the avatar by its frames, at the level of the true light."""
        super().start()
        with torch.no_grad():
            found = mean_radiance(self._true) / mean_radiance(self.light.envmap())
            raw = self.avatar.neutral["albedo"]
            raw.copy_(materials.raw_from_unit((torch.sigmoid(raw) / found).clamp(*_ALBEDO_RANGE)))
        self.light = HeldLight(self._true)
        self._begin()

    def _frozen(self, done: float) -> frozenset[str]:
        return super()._frozen(done) | {"light", "level"}


class TrueAlbedoFit(GaussianFit):
    """A fit of a dataset whose Gaussians are born with their true albedo and keep it."""

    def __init__(self, dataset: Dataset, geometry: Geometry, config: GaussianConfig, device: torch.device):
        super().__init__(dataset, geometry, config, Silent(), 0, True, device)
        self._clip = dataset

    def start(self) -> None:
        """Colour the avatar by the true albedo, under a light of the level that goes with it."""
        super().start()
        with torch.no_grad():
            raw = self.avatar.neutral["albedo"]
            true = self._true_albedo().to(self.device).clamp(*_ALBEDO_RANGE)
            self.light.scale(torch.sigmoid(raw).mean(0) / true.mean(0))
            raw.copy_(materials.raw_from_unit(true))
        self._begin()

    def _frozen(self, done: float) -> frozenset[str]:
        return super()._frozen(done) | {"albedo", "level"}

    def _true_albedo(self) -> Tensor:
        """[P, 3] on the CPU: the mean over the frames that show a Gaussian, else that of the nearest one shown."""
        avatar = self.result()
        faces = avatar.head.faces
        total, count = torch.zeros(avatar.count, 3), torch.zeros(avatar.count, 1)
        for frame in frames_with(self._clip, "albedo", ".png"):
            posed, camera = avatar.head.pose(frame.pose), frame.camera.with_scaled_focal(avatar.focal_scale)
            means = avatar.pose(frame.pose.expression, frame.pose.joints, posed.transforms).means
            normals = avatar.attachment.interpolate(vertex_normals(posed.vertices, faces), faces)
            views = normalize(camera.center - means, dim=1)
            hidden = MeshBvh(posed.vertices, faces).occluded(means, views, t_min=_CLEARANCE)
            column, row = camera.project(means)[0].floor().long().unbind(1)
            inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
            column, row = column.clamp(0, camera.width - 1), row.clamp(0, camera.height - 1)
            picture = rgba_to_linear(true_inputs(self._clip).albedo(frame.id))[row, column]
            facing = (normalize(normals, dim=1) * views).sum(1)
            seen = (inside & ~hidden & (facing > _FACING) & (picture[:, 3] > 0.99)).float()[:, None]
            total, count = total + seen * picture[:, :3], count + seen
        known = count[:, 0] > 0
        position = avatar.neutral["position"].numpy()
        nearest = cKDTree(position[known.numpy()]).query(position)[1]
        return (total[known] / count[known])[torch.from_numpy(nearest)]


def on_true_surface(dataset: Dataset, geometry: Geometry) -> Geometry:
    """The geometry whose outer vertices, undeformed, have moved so that posed ones lie on the true surface."""
    head = geometry.head
    outer = in_regions(head.region, OUTER_SKIN)
    for _ in range(_ROUNDS):
        total, count = torch.zeros_like(head.vertices), torch.zeros(head.vertex_count, 1)
        for frame in frames_with(dataset, "mesh", ".ply"):
            posed = head.pose(frame.pose)
            vertices, faces = true_inputs(dataset).mesh(frame.id)
            nearest = MeshBvh(vertices, faces).closest_point(posed.vertices)
            place = (nearest.barycentric[:, :, None] * vertices[faces[nearest.face_id].long()]).sum(1)
            turn = torch.einsum("vj,jab->vab", head.skin_weights, posed.transforms[:, :3, :3])
            usable = (outer & (nearest.squared_distance < _REACH**2)).float()[:, None]
            total += usable * torch.einsum("vba,vb->va", turn, place - posed.vertices)
            count += usable
        head = replace(head, vertices=head.vertices + total / count.clamp_min(1))
    return replace(geometry, head=head)


def surface_fit(dataset: Dataset, geometry: Geometry, config: GaussianConfig, device: torch.device) -> GaussianFit:
    """A fit of Gaussians attached to the true surface."""
    return GaussianFit(dataset, on_true_surface(dataset, geometry), config, Silent(), 0, True, device)


FITS = {"light": TrueLightFit, "albedo": TrueAlbedoFit, "mesh": surface_fit}


def main() -> None:
    """Fit and score what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=FITS)
    parser.add_argument("out", type=Path)
    parser.add_argument("geometry", type=Path)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--preset", default="short")
    parser.add_argument("--size", type=int, help="pixels of the longer side to score at")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    config, device = load_preset(arguments.preset, arguments.set).gaussians, resolve_device("auto")
    print(f"{'subject':10s}" + "".join(f"{column:>10s}" for column in COLUMNS), flush=True)
    for folder in arguments.datasets:
        dataset, out = load_dataset(folder), arguments.out / arguments.what / folder.name
        fit = FITS[arguments.what](dataset, load_geometry(arguments.geometry / folder.name), config, device)
        run_fit(fit, "fitting Gaussians", config.steps, config.steps + 1, out, Silent())
        options = EvaluationOptions(size=arguments.size)
        found = scores(evaluate(dataset, Renderer(fit.result().to(device)), out / "report", options=options))
        cells = (found.get(column) for column in COLUMNS)
        print(f"{folder.name:10s}" + "".join("         -" if cell is None else f"{cell:10.4g}" for cell in cells))


if __name__ == "__main__":
    main()

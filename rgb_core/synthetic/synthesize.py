"""`rgb synth`: a clip of the built-in subject with ground truth, written as a native dataset."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import Dataset, DatasetWriter, load_dataset
from ..errors import InputError
from ..fingerprints import fingerprint
from ..images import linear_to_rgba, linear_to_srgb, unpremultiply
from ..output_folder import OutputFolder
from ..progress import Progress, Silent
from ..scene import BUILTIN_LIGHTS
from ..scene.light import load_map, resample, turn_map
from .config import SyntheticConfig
from .lighting import SHADING_HEIGHT, SampledLight, exposed
from .motion import tracked
from .render import PosedMesh, SurfaceSamples, light_picture, sample_surface
from .scene import Scene, pose_of

_FPS = 25.0
# Purposes of a frame's random numbers; the relit pictures follow with one each.
_CAMERA_RAYS, _SHADOW_RAYS = 0, 1


def synthesize(
    out: str | Path,
    config: SyntheticConfig | None = None,
    progress: Progress | None = None,
    seed: int = 0,
    force: bool = False,
) -> Dataset:
    """Write a synthetic subject to the folder `out`, or go on with one that was interrupted.

    The same `config` and `seed` give the same files, interrupted or not. `force` replaces another clip.

    Raises:
        InputError: for an unknown light, a seed that is negative, or a folder that holds something else.
    """
    config, progress = config or SyntheticConfig(), progress or Silent()
    if seed < 0:
        raise InputError(f"the seed is {seed}; it must be 0 or more")
    names = (config.light, *config.relight)
    unknown = [name for name in names if name not in BUILTIN_LIGHTS]
    if unknown:
        raise InputError(f"no built-in light is called '{unknown[0]}': use {', '.join(BUILTIN_LIGHTS)}")
    settings = {"seed": seed, **config.model_dump(mode="json")}
    with OutputFolder.claim(out, "dataset", fingerprint(synthetic=settings), force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished clip of the same settings")
            return load_dataset(out)
        scene = Scene.build(config, seed)
        writer = DatasetWriter(
            out,
            subject=f"synthetic_{seed}",
            size=(config.size, config.size),
            fps=_FPS,
            head=scene.subject.given,
            extra={"synthetic": settings},
        )
        _Clip(scene, config, writer).render(progress)
        dataset = writer.finish()
        folder.finish()
    return dataset


class _Clip:
    """The frames of one clip on their way to the disk."""

    def __init__(self, scene: Scene, config: SyntheticConfig, writer: DatasetWriter) -> None:
        self._scene, self._config, self._writer = scene, config, writer
        self._frames = range(config.frames + config.test_frames)
        self._light, self._relight = self._write_lights()
        self._write_coefficients()

    def render(self, progress: Progress) -> None:
        """Render what is not on disk yet and register every frame."""
        reported = tracked(
            self._scene.motion, self._config.frames, self._config.tracking_noise, self._scene.tracking_rng()
        )
        done = [self._is_done(frame) for frame in self._frames]
        progress.start("rendering the clip", len(done), sum(done))
        for frame, is_done in enumerate(done):
            image = semantic = None
            if not is_done:
                image, semantic = self._render_frame(frame)
            joint_count = self._scene.subject.given.joint_count
            split = "train" if frame < self._config.frames else "test"
            pose = pose_of(reported, joint_count, frame)
            self._writer.add_frame(_id(frame), split, self._scene.camera, pose, image, semantic)
            if not is_done:
                progress.advance()

    def _is_done(self, frame: int) -> bool:
        return self._writer.has_frame(_id(frame)) and (not self._has_truth(frame) or self._writer.has_truth(_id(frame)))

    def _has_truth(self, frame: int) -> bool:
        test_frame = frame - self._config.frames
        return test_frame >= 0 and test_frame % self._config.ground_truth_every == 0

    def _render_frame(self, frame: int) -> tuple[Tensor, Tensor]:
        """The frame's picture and labels; its ground truth, where it has some, is written on the way."""
        scene, config = self._scene, self._config
        mesh = scene.posed(frame)
        rng = scene.frame_rng(frame, _CAMERA_RAYS)
        surface = sample_surface(mesh, scene.camera, scene.paint, config.samples, rng)
        if self._has_truth(frame):
            self._write_truth(frame, mesh, surface)
        return self._lit(frame, mesh, surface, self._light, _SHADOW_RAYS), surface.labels()

    def _lit(self, frame: int, mesh: PosedMesh, surface: SurfaceSamples, light: SampledLight, purpose: int) -> Tensor:
        """RGBA bytes [H,W,4] under a light."""
        rng = self._scene.frame_rng(frame, purpose)
        radiance = light_picture(surface, light, mesh.bvh, self._config.shadow_rays, rng)
        return linear_to_rgba(torch.cat([radiance, surface.coverage()], -1))

    def _write_truth(self, frame: int, mesh: PosedMesh, surface: SurfaceSamples) -> None:
        albedo = unpremultiply(torch.cat([surface.resolve(surface.material.albedo), surface.coverage()], -1))
        albedo[..., :3] = linear_to_srgb(albedo[..., :3])
        normal = torch.nn.functional.normalize(surface.resolve(surface.normal), dim=-1)
        normal = torch.cat([normal, surface.coverage()], -1)
        relit = {
            name: self._lit(frame, mesh, surface, light, _SHADOW_RAYS + 1 + index)
            for index, (name, light) in enumerate(self._relight.items())
        }
        self._writer.add_truth(_id(frame), mesh.vertices, mesh.faces, albedo, normal, relit)

    def _write_lights(self) -> tuple[SampledLight, dict[str, SampledLight]]:
        """Write all lights and read them back, so that the stored maps are exactly what shines."""
        writer, backward = self._writer, -self._scene.camera.world_to_camera[2, :3]
        for name in self._config.relight:
            writer.add_envmap(name, _builtin(name, 0.0, backward))
        writer.set_light(_builtin(self._config.light, self._scene.light_yaw(), backward))
        relight = {
            name: SampledLight(load_map(writer.folder / "envmaps" / f"{name}.hdr")) for name in self._config.relight
        }
        return SampledLight(load_map(writer.folder / "ground_truth" / "envmap.hdr")), relight

    def _write_coefficients(self) -> None:
        motion = self._scene.motion
        frames: dict[str, Any] = {
            _id(frame): {
                "expression": motion.expression[frame].tolist(),
                "root": motion.rotation[frame].tolist(),
                "translation": motion.translation[frame].tolist(),
            }
            for frame in self._frames
        }
        identity, pivot = self._scene.subject.identity.tolist(), self._scene.pivot.tolist()
        self._writer.set_coefficients({"identity": identity, "pivot": pivot, "frames": frames})


def _builtin(name: str, yaw: float, towards_camera: Tensor) -> Tensor:
    """A built-in light, turned, at the resolution that shades, exposed for a face that looks at the camera."""
    envmap = turn_map(load_map(name), yaw)
    return exposed(resample(envmap, SHADING_HEIGHT, 2 * SHADING_HEIGHT), towards_camera)


def _id(frame: int) -> str:
    return f"{frame:05d}"

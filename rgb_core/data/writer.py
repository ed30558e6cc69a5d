"""Writing the native dataset frame by frame, so that an interrupted run can continue."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..files import write_text
from ..heads import HeadModel, Pose, save_head
from ..images import write_hdr, write_png
from ..scene import Camera
from .dataset import FILE_NAME, FORMAT, VERSION, Dataset, load_dataset
from .frame import check_id
from .ply import write_ply
from .records import Record


class DatasetWriter:
    """Writes a dataset into a folder; `dataset.json` appears with `finish`, when everything it names is there.

    Frames whose files an earlier, interrupted run wrote are kept: `has_frame` says so, and `add_frame` then takes no
    pixels. Coefficients and cameras are given anew for every frame.
    """

    def __init__(
        self,
        folder: str | Path,
        subject: str,
        size: tuple[int, int],
        fps: float,
        head: HeadModel,
        light_frame: str = "world",
        shape: Sequence[float] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Start a dataset of images of `size` (width, height), or continue an unfinished one.

        The caller owns the folder (`OutputFolder.claim`): what is in it belongs to the same run.

        Args:
            extra: further keys of dataset.json, JSON values.

        Raises:
            InputError: when the folder cannot be written to.
        """
        self.folder = Path(folder)
        self._size = size
        self._record: dict[str, Any] = {
            **(extra or {}),
            "format": FORMAT,
            "version": VERSION,
            "subject": subject,
            "width": size[0],
            "height": size[1],
            "fps": fps,
            "head_model": "head.npz",
            "light_frame": light_frame,
            "shape": [float(value) for value in shape],
        }
        self._frames: dict[str, dict[str, Any]] = {}
        self._splits: dict[str, list[str]] = {"train": [], "test": []}
        save_head(head, self.folder / "head.npz")

    def has_frame(self, frame_id: str) -> bool:
        """Whether the pixels of a frame are on disk already."""
        return self._image(frame_id).is_file()

    def add_frame(
        self,
        frame_id: str,
        split: str,
        camera: Camera,
        pose: Pose,
        image: Tensor | None = None,  # [H, W, 4] sRGB, straight alpha, uint8 or float of 0 to 1
        semantic: Tensor | None = None,  # [H, W] uint8 labels
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one frame; `image` and `semantic` are left out where `has_frame` says that they exist.

        Raises:
            InputError: for a repeated or unusable id, or when a file cannot be written.
            ValueError: for pixels of another size, or none where none exist.
        """
        if check_id(Record({"id": frame_id}, str(self.folder)), "id") in self._frames:
            raise InputError(f"{self.folder}: frame '{frame_id}' was added twice")
        labels = self.folder / "semantic" / f"{frame_id}.png"
        if image is not None:
            self._check_size(image)
            if semantic is not None:
                self._check_size(semantic)
                write_png(labels, semantic)
            write_png(self._image(frame_id), image)  # last: its presence says that the frame is complete
        elif not self.has_frame(frame_id):
            raise ValueError(f"frame '{frame_id}' has no pixels")
        record: dict[str, Any] = {**(extra or {}), "id": frame_id, "image": f"images/{frame_id}.png"}
        if labels.is_file():
            record["semantic"] = f"semantic/{frame_id}.png"
        record["K"] = list(camera.intrinsics)
        record["w2c"] = camera.world_to_camera.tolist()
        record |= {name: values.tolist() for name, values in vars(pose).items()}
        self._frames[frame_id] = record
        self._splits.setdefault(split, []).append(frame_id)

    def add_envmap(self, name: str, envmap: Tensor) -> None:
        """Write `envmaps/<name>.hdr` from [3, H, W]."""
        write_hdr(self.folder / "envmaps" / f"{name}.hdr", envmap.permute(1, 2, 0))

    def set_light(self, envmap: Tensor) -> None:
        """Write the true light [3, H, W] of the clip, in the world frame."""
        write_hdr(self._truth("envmap.hdr"), envmap.permute(1, 2, 0))

    def set_coefficients(self, coefficients: Mapping[str, Any]) -> None:
        """Write the exact coefficients, JSON values as docs/formats.md describes them."""
        write_text(self._truth("coefficients.json"), json.dumps(coefficients))

    def has_truth(self, frame_id: str) -> bool:
        """Whether the ground truth of a frame is on disk already."""
        return self._truth("mesh", f"{frame_id}.ply").is_file()

    def add_truth(
        self,
        frame_id: str,
        vertices: Tensor,  # [V, 3] world metres
        faces: Tensor,  # [F, 3]
        albedo: Tensor,  # [H, W, 4] sRGB encoding, straight alpha
        normal: Tensor,  # [H, W, 4] unit world normal and alpha
        relit: Mapping[str, Tensor],  # [H, W, 4] by environment, sRGB, straight alpha
    ) -> None:
        """Write all ground truth of one frame.

        Raises:
            InputError: when a file cannot be written.
            ValueError: for pixels of another size.
        """
        encoded = torch.cat([(normal[..., :3] + 1) / 2, normal[..., 3:]], -1)
        images = {"albedo": albedo, "normal": encoded, **{f"relit/{name}": image for name, image in relit.items()}}
        for place, image in images.items():
            self._check_size(image)
            write_png(self._truth(place, f"{frame_id}.png"), image)
        write_ply(self._truth("mesh", f"{frame_id}.ply"), vertices, faces)  # last: it says that the truth is complete

    def finish(self) -> Dataset:
        """Write dataset.json, check the whole dataset by loading it, and return it.

        Raises:
            InputError: when the dataset is not valid; it stays unfinished then.
        """
        path = self.folder / FILE_NAME
        write_text(path, json.dumps({**self._record, "splits": self._splits, "frames": list(self._frames.values())}))
        try:
            return load_dataset(self.folder)
        except InputError:
            path.unlink()
            raise

    def _image(self, frame_id: str) -> Path:
        return self.folder / "images" / f"{frame_id}.png"

    def _truth(self, *parts: str) -> Path:
        return self.folder.joinpath("ground_truth", *parts)

    def _check_size(self, image: Tensor) -> None:
        if (image.shape[1], image.shape[0]) != self._size:
            raise ValueError(f"expected {self._size[0]} x {self._size[1]} pixels, got {list(image.shape)}")

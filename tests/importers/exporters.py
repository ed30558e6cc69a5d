"""Writes a clip in each foreign layout, by the conventions of the programs that made it."""

import json
from pathlib import Path

import numpy as np
import torch

from rgb_core.heads import save_head
from rgb_core.images import write_png
from rgb_core.rotations import axis_angle_to_matrix

from .subjects import EXPRESSIONS, Clip, root_motion

FLIP = np.diag([1.0, -1.0, -1.0])


def padded(values: torch.Tensor, length: int) -> list[float]:
    return [*values.tolist(), *[0.0] * (length - len(values))]


def six_numbers(axis_angle: torch.Tensor) -> np.ndarray:
    """The first two rows of the rotation matrix."""
    return axis_angle_to_matrix(axis_angle)[:2].reshape(-1).numpy()


def write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_matted(clip: Clip, index: int, image: Path, mask: Path | None = None) -> None:
    """An RGBA picture, or an RGB one with its mask beside it."""
    picture = clip.picture(index)
    write_png(image, picture if mask is None else picture[..., :3].contiguous())
    if mask is not None:
        write_png(mask, picture[..., 3])


def metrical(clip: Clip, folder: Path, tracked: int | None = None, pictures: str = "images") -> None:
    """Head motion in the camera; K and img_size of pictures `tracked` pixels wide."""
    scale = 1 if tracked is None else tracked / clip.size[0]
    (folder / "checkpoint").mkdir(parents=True)
    for index, frame in enumerate(clip.frames):
        rotation, shift = root_motion(clip, index)
        camera = frame.camera.world_to_camera
        fx, fy, cx, cy = (scale * value for value in frame.camera.intrinsics)
        zeros = np.zeros((1, 12), np.float32)
        eyes = np.concatenate([six_numbers(frame.pose.joints[3]), six_numbers(frame.pose.joints[4])])
        record = {
            "flame": {
                "exp": np.array([padded(frame.pose.expression[:EXPRESSIONS], 100)]),
                "shape": np.array([padded(clip.shape, 300)]),
                "tex": np.zeros((1, 140), np.float32),
                "sh": np.zeros((1, 9, 3), np.float32),
                "eyes": eyes[None],
                "eyelids": np.array([padded(frame.pose.expression[EXPRESSIONS:], 2)]),
                "jaw": six_numbers(frame.pose.joints[2])[None],
            },
            "camera": {"R": zeros[:, :6], "t": zeros[:, :3], "fl": zeros[:, :1], "pp": zeros[:, :2]},
            "opencv": {
                "R": (camera[:, :3] @ rotation).numpy()[None],
                "t": (camera[:, :3] @ shift + camera[:, 3]).numpy()[None],
                "K": np.array([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]]),
            },
            "img_size": np.array([round(scale * clip.size[1]), round(scale * clip.size[0])]),
            "frame_id": f"{index:05d}",
            "global_step": index,
        }
        torch.save(record, folder / "checkpoint" / f"{index:05d}.frame")
        write_matted(clip, index, folder / pictures / f"{index:05d}.png")


def imavatar(
    clip: Clip, folder: Path, name: str = "flame_params.json", in_pixels_of: int | None = None, translated: bool = False
) -> None:
    """FLAME four times its size, OpenGL axes, fx negative; pictures from 1 with a mask folder."""
    width, height = clip.size if in_pixels_of is None else (in_pixels_of, in_pixels_of)
    frames = []
    for index, frame in enumerate(clip.frames):
        world = FLIP @ frame.camera.world_to_camera.numpy()
        world[:, 3] *= 4
        pose = [
            *frame.pose.joints.reshape(-1).tolist(),
            *([4 * x for x in frame.pose.translation.tolist()] if translated else []),
        ]
        file = f"{index + 1}"
        write_matted(clip, index, folder / "image" / f"{file}.png", folder / "mask" / f"{file}.png")
        frames.append(
            {
                "file_path": f"./image/{file}",
                "world_mat": world.tolist(),
                "expression": padded(frame.pose.expression, 50),
                "pose": pose,
                "bbox": [-1, -1, 1, 1],
                "flame_keypoints": [],
            }
        )
    fx, fy, cx, cy = clip.frames[0].camera.intrinsics
    across, down = width / clip.size[0], height / clip.size[1]
    unit = (1, 1) if in_pixels_of else (width, height)
    intrinsics = [-fx * across / unit[0], fy * down / unit[1], cx * across / unit[0], cy * down / unit[1]]
    record = {"frames": frames[::-1], "shape_params": padded(clip.shape, 100), "intrinsics": intrinsics}
    write_json(folder / name, record)


def hravatar(clip: Clip, folder: Path, version: int = 1) -> None:
    """FLAME four times its size after translation, except in version 2; w2c in OpenGL axes."""
    scale = 4 if version == 1 else 1
    record = {"intrinsics": list(clip.frames[0].camera.intrinsics), "shapecode": [padded(clip.shape, 100)]}
    for index, frame in enumerate(clip.frames):
        world = np.eye(4)
        world[:3] = FLIP @ frame.camera.world_to_camera.numpy()
        world[:3, 3] *= scale
        file = f"{index}.png"
        write_matted(clip, index, folder / "images" / file, folder / "mask" / file)
        record[file if index % 2 else str(index)] = {
            "expcode": [padded(frame.pose.expression[:EXPRESSIONS], 100)],
            "fullposecode": [frame.pose.joints.reshape(-1).tolist()],
            "translation": [frame.pose.translation.tolist()],
            "eyelids": [padded(frame.pose.expression[EXPRESSIONS:], 2)],
            "world_mat": world.tolist(),
        }
    record["world_mat"] = np.eye(4).tolist()
    write_json(folder / ("tracked_params.json" if version == 1 else "tracked_params_v2.json"), record)


def camera_to_world(clip: Clip, index: int, opengl: bool) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3] = clip.frames[index].camera.world_to_camera.numpy()
    return np.linalg.inv(matrix) @ (np.diag([1.0, -1, -1, 1]) if opengl else np.eye(4))


def pinhole(clip: Clip, index: int) -> dict:
    keys = ("fl_x", "fl_y", "cx", "cy")
    found = dict(zip(keys, clip.frames[index].camera.intrinsics, strict=True))
    return {**found, "w": clip.size[0], "h": clip.size[1]}


def vhap(clip: Clip, folder: Path, test: int = 2) -> None:
    """FLAME 2023 parameters by timestep; cameras to world in OpenGL axes; masks beside RGB pictures."""
    (folder / "flame_param").mkdir(parents=True)
    frames = []
    for index, frame in enumerate(clip.frames):
        file = f"{index:05d}_00.png"
        write_matted(clip, index, folder / "images" / file, folder / "fg_masks" / file)
        joints = frame.pose.joints.numpy()
        parameters = {
            "translation": frame.pose.translation.numpy()[None],
            "rotation": joints[:1],
            "neck_pose": joints[1:2],
            "jaw_pose": joints[2:3],
            "eyes_pose": joints[3:].reshape(1, 6),
            "expr": np.array([padded(frame.pose.expression, 100)]),
            "shape": np.array(padded(clip.shape, 300)),
        }
        if clip.offsets is not None:
            parameters["static_offset"] = clip.offsets.numpy()[None]
        np.savez(folder / "flame_param" / f"{index:05d}.npz", **parameters)
        frames.append(
            {
                "timestep_index": index,
                "camera_index": 0,
                **pinhole(clip, index),
                "transform_matrix": camera_to_world(clip, index, opengl=True).tolist(),
                "file_path": f"images/{file}",
                "fg_mask_path": f"fg_masks/{file}",
                "flame_param_path": f"flame_param/{index:05d}.npz",
            }
        )
    np.savez(folder / "canonical_flame_param.npz", jaw_pose=np.array([[0.3, 0, 0]]))
    write_json(folder / "transforms.json", {"frames": frames})
    write_json(folder / "transforms_train.json", {"frames": frames[:-test]})
    write_json(folder / "transforms_test.json", {"frames": frames[-test:]})
    write_json(folder / "transforms_val.json", {"frames": []})


def write_obj(path: Path, vertices: torch.Tensor, faces: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"v {x:.12f} {y:.12f} {z:.12f}" for x, y, z in vertices.tolist()]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in (faces + 1).tolist()]
    path.write_text("\n".join(lines) + "\n")


def insta(clip: Clip, folder: Path, opengl: bool = False) -> None:
    """A mesh for every frame and cameras that hold the head's motion, to world; `opengl` is VHAP's mesh mode."""
    frames = []
    for index, frame in enumerate(clip.frames):
        rotation, shift = root_motion(clip, index)
        still = (clip.vertices(index) - shift) @ rotation
        motion = np.eye(4)
        motion[:3, :3], motion[:3, 3] = rotation.numpy(), shift.numpy()
        to_world = np.linalg.inv(motion) @ camera_to_world(clip, index, opengl)
        name = f"{index:05d}"
        write_matted(clip, index, folder / "images" / f"{name}.png")
        write_obj(folder / "meshes" / f"{name}.obj", still, clip.head.faces)
        (folder / "flame/exp").mkdir(parents=True, exist_ok=True)
        np.savetxt(folder / "flame/exp" / f"{name}.txt", padded(frame.pose.expression, 100))
        frames.append(
            {
                "transform_matrix": to_world.tolist(),
                "file_path": f"images/{name}.png",
                "mesh_path": f"meshes/{name}.obj",
                "exp_path": f"flame/exp/{name}.txt",
                **({"timestep_index": index} if opengl else {}),
            }
        )
    write_json(folder / "transforms.json", {**pinhole(clip, 0), "integer_depth_scale": 0.001, "frames": frames})


def native(clip: Clip, folder: Path) -> None:
    """The least that a user's own tracker writes."""
    frames = []
    for index, frame in enumerate(clip.frames):
        write_matted(clip, index, folder / "pictures" / f"{index}.png")
        frames.append(
            {
                "id": f"shot_{index}",
                "image": f"pictures/{index}.png",
                "K": list(frame.camera.intrinsics),
                "w2c": frame.camera.world_to_camera.tolist(),
                "expression": frame.pose.expression.tolist(),
                "joints": frame.pose.joints.tolist(),
                "translation": frame.pose.translation.tolist(),
            }
        )
    save_head(clip.head, folder / "model.npz")
    record = {"format": "rgb-dataset", "version": 1, "head_model": "model.npz", "shape": clip.shape.tolist()}
    write_json(folder / "dataset.json", {**record, "frames": frames})

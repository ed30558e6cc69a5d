"""The personalised head as glTF: upright, neutral, with joints, skin, expressions, textures, and a clip's motion."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..avatar import Avatar
from ..heads import HeadModel, Motion, vertex_normals
from ..rotations import axis_angle_to_matrix, matrix_to_quaternion
from .baking import Textures, bake, corner_tangents
from .gltf import Buffer, write_container
from .parts import PARTS, part_of

_INFLUENCES = 4  # joints in one set of skin weights


def write_head_glb(avatar: Avatar, path: Path, motion: Motion | None = None) -> None:
    """Write the head atomically; in the file's axes y is up and the face looks along +z, lengths are metres.

    Morph targets are the head's expressions, added before skinning as everywhere here. A viewer that sets their weights
    and the joints' rotations gets our mesh. What glTF has no word for is left out: pose correctives, and joints that
    move with expressions (both FLAME's).

    Raises:
        InputError: when the file cannot be written.
    """
    head, buffer = avatar.head.with_fixed_joints(), Buffer()
    textures = bake(avatar)
    corner, uv, faces = _unify_corners(_array(head.faces), None if head.uv_faces is None else _array(head.uv_faces))
    attributes = _attributes(head, buffer, corner, uv)
    offsets = head.expression_basis.float()[:, torch.from_numpy(corner)]
    targets = [{"POSITION": buffer.add_vectors(_array(offset), bounds=True)} for offset in offsets]
    part = _array(part_of(head.region[head.faces[:, 0]]))
    used = [number for number in range(len(PARTS)) if (part == number).any()]
    primitives = [
        {"attributes": attributes, "indices": buffer.add_indices(faces[part == number]), "material": index}
        | ({"targets": targets} if targets else {})
        for index, number in enumerate(used)
    ]
    names = list(head.expression_names)
    mesh: dict[str, Any] = {"name": avatar.name, "primitives": primitives, "extras": {"targetNames": names}}
    if targets:
        mesh["weights"] = [0.0] * len(targets)
    document: dict[str, Any] = {
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": avatar.name, "mesh": 0, "skin": 0}, *_joints(head)],
        "meshes": [mesh],
        "skins": [_skin(head, buffer)],
        **_materials([list(PARTS)[number] for number in used], textures, buffer),
    }
    if motion is not None:
        document["animations"] = [_animation(head, motion, buffer)]
    write_container(path, document, buffer)


def _attributes(head: HeadModel, buffer: Buffer, corner: np.ndarray, uv: np.ndarray | None) -> dict[str, int]:
    attributes = {
        "POSITION": buffer.add_vectors(_array(head.vertices)[corner], bounds=True),
        "NORMAL": buffer.add_vectors(_array(vertex_normals(head.vertices, head.faces))[corner]),
    }
    if head.uv is not None and head.uv_faces is not None and uv is not None:
        tangents = corner_tangents(head, head.uv, head.uv_faces)
        attributes["TANGENT"] = buffer.add_vectors(_array(tangents)[uv])
        attributes["TEXCOORD_0"] = buffer.add_vectors(_array(head.uv)[uv] * (1, -1) + (0, 1))  # glTF's v points down
    weight, joint = head.skin_weights.sort(dim=1, descending=True)
    most = int((weight > 0).sum(1).max())
    for number, start in enumerate(range(0, most, _INFLUENCES)):
        chosen = _array(weight[:, start : start + _INFLUENCES])
        missing = ((0, 0), (0, _INFLUENCES - chosen.shape[1]))
        joints = np.where(chosen > 0, _array(joint[:, start : start + _INFLUENCES]), 0).astype(np.uint8)
        attributes[f"JOINTS_{number}"] = buffer.add(np.pad(joints, missing)[corner])
        attributes[f"WEIGHTS_{number}"] = buffer.add_vectors(np.pad(chosen, missing)[corner])
    return attributes


def _joints(head: HeadModel) -> list[dict[str, Any]]:
    """Nodes of the joints, number 1 the first; each stands at its own place and its parent carries it."""
    places, parents = head.joint_positions.double(), head.joint_parents.tolist()
    nodes = []
    for joint, name in enumerate(head.joint_names):
        step = places[joint] - places[parents[joint]] if parents[joint] >= 0 else places[joint]
        children = [1 + child for child, parent in enumerate(parents) if parent == joint]
        nodes.append({"name": name, "translation": step.tolist()} | ({"children": children} if children else {}))
    return nodes


def _skin(head: HeadModel, buffer: Buffer) -> dict[str, Any]:
    """Every joint's matrix takes the mesh to the joint, column by column."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (head.joint_count, 1, 1))
    matrices[:, 3, :3] = -_array(head.joint_positions)
    return {
        "joints": [1 + joint for joint in range(head.joint_count)],
        "skeleton": 1 + head.joint_parents.tolist().index(-1),
        "inverseBindMatrices": buffer.add(matrices.reshape(-1, 16), target=None),
    }


def _materials(parts: list[str], textures: Textures | None, buffer: Buffer) -> dict[str, Any]:
    """Materials, textures and pictures of a document, one material for each part."""
    if textures is None:
        plain = {"metallicFactor": 0.0, "roughnessFactor": 0.5}
        return {"materials": [{"name": part, "pbrMetallicRoughness": plain, "doubleSided": True} for part in parts]}
    pictures = {"albedo": textures.base_color, "roughness": textures.metallic_roughness, "normal": textures.normal}
    surface = {"baseColorTexture": {"index": 0}, "metallicRoughnessTexture": {"index": 1}, "metallicFactor": 1.0}
    specular = {"KHR_materials_specular": {"specularFactor": round(min(textures.specular, 1.0), 4)}}
    return {
        "extensionsUsed": list(specular),
        "materials": [
            {
                "name": part,
                "pbrMetallicRoughness": surface,
                "normalTexture": {"index": 2},
                "doubleSided": True,
                "extensions": specular,
            }
            for part in parts
        ],
        "textures": [{"source": index} for index in range(len(pictures))],
        "images": [
            {"name": name, "mimeType": "image/png", "bufferView": buffer.add_picture(png)}
            for name, png in pictures.items()
        ],
    }


def _animation(head: HeadModel, motion: Motion, buffer: Buffer) -> dict[str, Any]:
    """The clip: rotations of the joints, the root's place, and the expressions' weights."""
    frames = len(motion.poses.expression)
    times = buffer.add((np.arange(frames) / motion.fps).astype(np.float32), target=None, bounds=True)
    samplers: list[dict[str, int]] = []
    channels: list[dict[str, Any]] = []

    def add(values: torch.Tensor, node: int, path: str) -> None:
        output = buffer.add(_array(values).astype(np.float32), target=None)
        channels.append({"sampler": len(samplers), "target": {"node": node, "path": path}})
        samplers.append({"input": times, "output": output})

    turns = matrix_to_quaternion(axis_angle_to_matrix(motion.poses.joints)).roll(-1, dims=-1)  # (x, y, z, w)
    for joint in range(head.joint_count):
        add(torch.nn.functional.normalize(turns[:, joint], dim=1), 1 + joint, "rotation")
    root = head.joint_parents.tolist().index(-1)
    add(head.joint_positions[root] + motion.poses.translation, 1 + root, "translation")
    if head.expression_names:
        add(motion.poses.expression.reshape(-1), 0, "weights")
    return {"name": motion.name, "samplers": samplers, "channels": channels}


def _unify_corners(faces: np.ndarray, uv_faces: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Vertex [N] and texture index [N] of every distinct corner, and triangles [F, 3] over the corners."""
    if uv_faces is None:
        return np.arange(faces.max() + 1), None, faces
    corners, inverse = np.unique(np.stack([faces, uv_faces], -1).reshape(-1, 2), axis=0, return_inverse=True)
    return corners[:, 0], corners[:, 1], inverse.reshape(-1, 3)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()

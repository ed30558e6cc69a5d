"""A reader of .glb files that follows the specification: containers, accessors, and the mesh that a pose makes."""

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_COMPONENTS = {5126: "<f4", 5125: "<u4", 5121: "u1"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A binary glTF file taken apart, with the checks of the specification's container chapter."""

    def __init__(self, path: Path):
        data = path.read_bytes()
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks, position = [], 12
        while position < length:
            size, kind = struct.unpack_from("<I4s", data, position)
            assert size % 4 == 0
            chunks.append((kind, data[position + 8 : position + 8 + size]))
            position += 8 + size
        assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
        self.document: dict[str, Any] = json.loads(chunks[0][1])
        self.buffer = chunks[1][1]
        assert 0 <= len(self.buffer) - self.document["buffers"][0]["byteLength"] < 4

    def view(self, index: int) -> bytes:
        view = self.document["bufferViews"][index]
        return self.buffer[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def array(self, index: int) -> np.ndarray:
        accessor = self.document["accessors"][index]
        kind = np.dtype(_COMPONENTS[accessor["componentType"]])
        content = self.view(accessor["bufferView"])
        assert self.document["bufferViews"][accessor["bufferView"]]["byteOffset"] % 4 == 0
        values = np.frombuffer(content, kind).reshape(accessor["count"], _WIDTHS[accessor["type"]])
        for key, bound in (("min", values.min(0)), ("max", values.max(0))):
            if key in accessor:
                np.testing.assert_array_equal(np.float32(accessor[key]), bound)
        return values

    def posed(self, weights: np.ndarray, rotations: np.ndarray, root: np.ndarray | None = None) -> np.ndarray:
        """Positions [N, 3] by morph `weights` [E], joint `rotations` [J, 4] (x, y, z, w) and the root's place."""
        primitive = self.document["meshes"][0]["primitives"][0]
        attributes, skin = primitive["attributes"], self.document["skins"][0]
        place = self.array(attributes["POSITION"]).astype(np.float64)
        for weight, target in zip(weights, primitive["targets"], strict=True):
            place = place + weight * self.array(target["POSITION"])
        nodes, joints = self.document["nodes"], skin["joints"]
        world: dict[int, np.ndarray] = {}

        def visit(node: int, parent: np.ndarray) -> None:
            local = np.eye(4)
            local[:3, :3] = _matrix(rotations[joints.index(node)])
            local[:3, 3] = nodes[node]["translation"]
            if node == skin["skeleton"] and root is not None:
                local[:3, 3] = root
            world[node] = parent @ local
            for child in nodes[node].get("children", []):
                visit(child, world[node])

        visit(skin["skeleton"], np.eye(4))
        inverse = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
        matrices = np.stack([world[node] for node in joints]) @ inverse
        mixed = np.zeros((len(place), 4, 4))
        for number in range(2):
            if f"JOINTS_{number}" in attributes:
                index = self.array(attributes[f"JOINTS_{number}"])
                share = self.array(attributes[f"WEIGHTS_{number}"])
                mixed += (share[:, :, None, None] * matrices[index]).sum(1)
        return np.einsum("nij,nj->ni", mixed[:, :3, :3], place) + mixed[:, :3, 3]


def _matrix(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


_VALIDATE = """
const validator = require('gltf-validator'), fs = require('fs');
validator.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))
  .then((report) => console.log(JSON.stringify(report.issues)));
"""


def khronos_issues(path: Path) -> dict[str, Any]:
    """What the Khronos validator says about a file; skips where node lacks npm's gltf-validator (NODE_PATH)."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True).returncode:
        pytest.skip("node with gltf-validator is not installed")
    report = subprocess.run([node, "-e", _VALIDATE, str(path)], capture_output=True, text=True, check=True)
    return json.loads(report.stdout)

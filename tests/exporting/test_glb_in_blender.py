"""Blender reads the rigged head: bones, expressions, textures, and a motion that makes our mesh.

Runs where an interpreter has Blender's module bpy: this one, or the one that RGB_BPY_PYTHON names.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rgb_core.benchmarking.scenes import bench_avatar
from rgb_core.exporting import Motion
from rgb_core.exporting.glb_head import write_head_glb
from rgb_core.exporting.parts import PARTS, part_of
from rgb_core.heads import Pose

TENTH_OF_A_MILLIMETRE = 1e-4
FPS, FRAMES = 25.0, 4
_PYTHON = os.environ.get("RGB_BPY_PYTHON", sys.executable)
_READ = """
import bpy, json, sys
import numpy as np
path, fps, frames, out = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=path)
mesh = next(o for o in bpy.data.objects if o.type == "MESH" and o.data.shape_keys)
rig = next(o for o in bpy.data.objects if o.type == "ARMATURE")
scene, posed = bpy.context.scene, []
for frame in range(frames):
    time = frame / fps * scene.render.fps
    scene.frame_set(int(time), subframe=time % 1)
    seen = mesh.evaluated_get(bpy.context.evaluated_depsgraph_get())
    place = np.empty(3 * len(seen.data.vertices), np.float32)
    seen.data.vertices.foreach_get("co", place)
    matrix = np.array(seen.matrix_world)
    posed.append(place.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
faces = np.empty(3 * len(mesh.data.polygons), np.int32)
mesh.data.polygons.foreach_get("vertices", faces)
np.savez(out, posed=np.stack(posed), corners=faces)
print("READ " + json.dumps({
    "bones": [bone.name for bone in rig.data.bones],
    "expressions": [key.name for key in mesh.data.shape_keys.key_blocks],
    "materials": [slot.material.name for slot in mesh.material_slots],
    "images": {image.name: [*image.size, image.colorspace_settings.name] for image in bpy.data.images},
}))
"""


@pytest.mark.skipif(
    subprocess.run([_PYTHON, "-c", "import bpy"], capture_output=True, check=False).returncode != 0,
    reason="no interpreter with Blender's bpy",
)
def test_blender_finds_the_rig_and_poses_our_mesh(tmp_path: Path):
    avatar = bench_avatar(2000)
    head, generator = avatar.head, torch.Generator().manual_seed(4)
    motion = Pose(
        torch.rand(FRAMES, len(head.expression_names), generator=generator),
        0.3 * torch.randn(FRAMES, head.joint_count, 3, generator=generator),
        0.05 * torch.randn(FRAMES, 3, generator=generator),
    )
    write_head_glb(avatar, tmp_path / "head.glb", Motion("walk", motion, FPS))
    arguments = [tmp_path / "head.glb", FPS, FRAMES, tmp_path / "read.npz"]
    done = subprocess.run(
        [_PYTHON, "-c", _READ, *map(str, arguments)], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(
        next(line for line in done.stdout.splitlines() if line.startswith("READ ")).removeprefix("READ ")
    )
    assert found["bones"] == list(head.joint_names)
    assert found["expressions"] == ["Basis", *head.expression_names]
    assert found["materials"] == list(PARTS)
    assert found["images"] == {
        "albedo": [1024, 1024, "sRGB"],
        "normal": [1024, 1024, "Non-Color"],
        "roughness": [1024, 1024, "Non-Color"],
    }
    read = np.load(tmp_path / "read.npz")
    part = part_of(head.region[head.faces[:, 0]])
    vertices = torch.cat([head.faces[part == number].flatten() for number in range(len(PARTS))])
    expected = head.pose(motion).vertices[:, vertices].numpy()
    expected = np.stack([expected[..., 0], -expected[..., 2], expected[..., 1]], -1)  # Blender's z is up
    assert np.linalg.norm(read["posed"][:, read["corners"]] - expected, axis=-1).max() < TENTH_OF_A_MILLIMETRE

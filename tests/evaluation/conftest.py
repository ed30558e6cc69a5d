"""A clip of a sphere with complete ground truth."""

import pytest
import torch
from evaluation_scenes import CAMERA, LIGHTS, SIZE, TEST_IDS, TRUTH_IDS, disc, labels, picture, posed, sphere_head

from rgb_core.data import DatasetWriter


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """One training frame and three test frames, two of which have ground truth."""
    head = sphere_head()
    writer = DatasetWriter(tmp_path_factory.mktemp("clip") / "sphere", "ball", (SIZE, SIZE), 25.0, head)
    for index, name in enumerate(("00000", *TEST_IDS)):
        writer.add_frame(name, "train" if index == 0 else "test", CAMERA, posed(index), picture(index), labels())
    inside, normal = disc()
    for index, name in enumerate(TRUTH_IDS):
        relit = {light: picture(100 * index + k) for k, light in enumerate(LIGHTS, start=20)}
        true_normal = torch.cat([normal, inside[..., None].float()], -1)
        writer.add_truth(name, head.vertices, head.faces, picture(index + 50), true_normal, relit)
    for name, light in LIGHTS.items():
        writer.add_envmap(name, light)
    writer.set_light(LIGHTS["noon"])
    return writer.finish()

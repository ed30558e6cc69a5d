"""The geometry fit on a GPU: it ends where the CPU's does, hands back CPU tensors, and its steps do not wait."""

import pytest
import torch
from head_clips import CONFIG, make_clip

from rgb_core.geometry import fit_geometry, load_geometry
from rgb_core.geometry.fit import GeometryFit
from rgb_core.geometry.smoothing import Smoother, SparseMap
from rgb_core.geometry.topology import cotangent_laplacian
from rgb_core.heads import builtin_head
from rgb_core.progress import Silent

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "data")


def test_the_fit_ends_where_the_one_on_the_cpu_does(clip, tmp_path):
    ours = fit_geometry(clip, CONFIG, tmp_path / "cuda", Silent(), seed=3, device=CUDA)
    expected = fit_geometry(clip, CONFIG, tmp_path / "cpu", Silent(), seed=3)
    assert ours.head.vertices.device.type == "cpu"
    assert all(found.joints.device.type == "cpu" for found in ours.tracking.values())
    # Adam's steps amplify rounding, yet both follow the same pictures
    assert float((ours.head.vertices - expected.head.vertices).norm(dim=1).mean()) < 1e-4  # metres
    assert ours.metrics["silhouette_iou"] == pytest.approx(expected.metrics["silhouette_iou"], abs=2e-3)
    assert ours.metrics["photometric_mae"] == pytest.approx(expected.metrics["photometric_mae"], rel=0.05)
    assert torch.equal(load_geometry(tmp_path / "cuda").head.vertices, ours.head.vertices)
    assert (tmp_path / "cuda" / "preview.png").is_file()


def test_a_fit_started_on_the_gpu_continues_on_the_cpu(clip, tmp_path, monkeypatch):
    step = GeometryFit.step

    def interrupted(self, index):
        if index == 40:
            raise KeyboardInterrupt
        return step(self, index)

    monkeypatch.setattr(GeometryFit, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit_geometry(clip, CONFIG, tmp_path, Silent(), device=CUDA)
    monkeypatch.setattr(GeometryFit, "step", step)
    assert fit_geometry(clip, CONFIG, tmp_path, Silent()).metrics["silhouette_iou"] > 0.97


def test_steps_do_not_wait_for_the_device(clip):
    fit = GeometryFit(clip, CONFIG, Silent(), seed=0, device=CUDA)
    # silhouettes alone, then colours, then corrections of expressions; the step before each makes what it needs
    for first in (5, 30, 50):
        fit.step(first)
        torch.cuda.set_sync_debug_mode("error")
        try:
            fit.step(first + 1)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def test_sparse_maps_and_smoothing_agree_with_the_cpu():
    head = builtin_head()
    laplacian = cotangent_laplacian(head.vertices, head.faces)
    values = torch.randn(head.vertex_count, 4, generator=torch.Generator().manual_seed(0))
    results = []
    for device in (torch.device("cpu"), CUDA):
        leaf = values.to(device).requires_grad_()
        product = SparseMap(laplacian.stiffness, device)(leaf)
        (gradient,) = torch.autograd.grad(product.square().sum(), leaf)
        smoother = Smoother(laplacian, 0.01, device)
        outputs = (product, gradient, smoother.values(leaf.detach()), smoother.gradient(leaf.detach()))
        results.append([tensor.detach().cpu() for tensor in outputs])
    for ours, expected in zip(results[1], results[0], strict=True):
        assert float((ours - expected).norm() / expected.norm()) < 0.01  # the GPU's smoothing is no more exact

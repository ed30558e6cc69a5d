"""The CUDA kernels of an optimisation step: values and gradients against float64, or against the CPU's own."""

import gaussian_blendshapes
import torch
import training_kernels
from step_samples import MEASURE, attached_sample, moved_sample, pictures, prior_sample, row_sample, unevenness_sample
from torch import Tensor


def agree(found, expected, tolerance: float = 1e-5) -> None:
    """Each within `tolerance` of its largest value."""
    for have, want in zip(found, expected, strict=True):
        assert have.shape == want.shape
        assert float((have.double().cpu() - want).abs().max()) <= tolerance * max(float(want.abs().max()), 1e-9)


def exact(function, inputs: list[Tensor], upstream: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Values and gradients of a differentiable function in float64."""
    leaves = [tensor.double().requires_grad_() for tensor in inputs]
    out = function(*leaves)
    out = list(out) if isinstance(out, tuple) else [out]
    gradients = torch.autograd.grad(out, leaves, [tensor.double() for tensor in upstream])
    return [tensor.detach() for tensor in out], list(gradients)


def on(device: str, *values):
    """The same on a device: tensors, lists of them and what else the operations are given."""
    moved = [_on(device, value) for value in values]
    return moved if len(moved) > 1 else moved[0]


def _on(device: str, value):
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list):
        return [_on(device, item) for item in value]
    return type(value)(*(_on(device, item) if isinstance(item, Tensor) else item for item in value))


def doubled(record):
    """With its floating point tensors in float64."""
    return type(record)(*(x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for x in record))


def check_priors(device: str, points: int) -> None:
    gaussians, ranges = prior_sample(points)
    upstream = torch.rand(6, generator=torch.Generator().manual_seed(1))
    values, gradients = exact(lambda *g: training_kernels.reference.priors(g, doubled(ranges)), gaussians, [upstream])
    gaussians, ranges, upstream = on(device, gaussians, ranges, upstream)
    agree([training_kernels.cuda.priors(gaussians, ranges)], values)
    agree(training_kernels.cuda.priors_backward(gaussians, ranges, upstream), gradients)


def check_unevenness(device: str) -> None:
    albedo, pairs = unevenness_sample()
    upstream = torch.tensor(0.7)
    values, gradients = exact(
        lambda a: training_kernels.reference.unevenness(a, pairs, 0.02, 0.1), [albedo], [upstream]
    )
    for backend, place in ((training_kernels.cuda, device), (training_kernels.cpu, "cpu")):
        of, among, by = on(place, albedo, pairs, upstream)
        agree([backend.unevenness(of, among, 0.02, 0.1)], values)
        agree([backend.unevenness_backward(of, among, 0.02, 0.1, by)], gradients)


def check_moves(device: str, points: int, frames: int) -> None:
    inputs, correction = moved_sample(points, frames)
    upstream = [torch.rand(points, width, generator=torch.Generator().manual_seed(width)) for width in (3, 4)]
    wide = doubled(correction)
    values, gradients = exact(lambda *given: training_kernels.reference.move(*given, wide), inputs, upstream)
    inputs, correction, upstream = on(device, inputs, correction, upstream)
    agree(training_kernels.cuda.move(*inputs, correction), values)
    agree(training_kernels.cuda.move_backward(*inputs, correction, *upstream), gradients)


def check_attaching(device: str) -> None:
    anchors, fixed, inputs = attached_sample(300)
    normals, occlusion, rotations, camera = fixed
    upstream = [torch.rand(300, 3, generator=torch.Generator().manual_seed(k)) for k in range(2)]

    def attach(offset: Tensor, means: Tensor) -> tuple[Tensor, ...]:
        given = normals.double(), occlusion.double(), offset, means, rotations.double(), camera.double()
        return gaussian_blendshapes.reference.attach(anchors, *given)[:2]

    values, gradients = exact(attach, inputs, upstream)
    anchors, (normals, occlusion, rotations, camera), inputs, upstream = on(device, anchors, fixed, inputs, upstream)
    mine = gaussian_blendshapes.cuda.attach(anchors, normals, occlusion, *inputs, rotations, camera)
    agree(mine[:2], values)
    agree(gaussian_blendshapes.cuda.attach_backward(anchors, normals, rotations, camera, *inputs, *upstream), gradients)


def check_similarity(device: str, shape: tuple[int, ...]) -> None:
    a, b = pictures(shape)
    upstream = torch.rand(shape, generator=torch.Generator().manual_seed(3))
    values, (by_a, _) = exact(lambda x, y: training_kernels.similarity(x, y, MEASURE), [a, b], [upstream])
    for backend, place in ((training_kernels.cuda, device), (training_kernels.cpu_similarity, "cpu")):
        x, y, by = on(place, a, b, upstream)
        value, *slopes = backend.similarity(x, y, *MEASURE)
        agree([value], values, 2e-5)  # variances are small differences of squares
        agree([backend.similarity_backward(x, y, slopes, by, MEASURE.weights)], [by_a], 1e-4)


def check_steps_of_rows(device: str, rows: int) -> None:
    results = []
    for backend, place in ((training_kernels.cuda, device), (training_kernels.cpu, "cpu")):
        parameter, gradient, moments, rate = on(place, *row_sample(rows))
        for count in range(3):
            step = torch.tensor(count + 1.0, device=place)
            squares = backend.adam_step_rows(parameter, gradient, *moments, rate, step, 0.9, 0.99, 1e-15)
        results.append([tensor.cpu() for tensor in (parameter, *moments, squares)])
    for mine, other in zip(*results, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=2e-6)

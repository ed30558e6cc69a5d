"""LPIPS with random weights: what holds for any weights, against torch modules in the published layout."""

import pytest
import torch
from evaluation_scenes import Oracle
from safetensors.torch import save_file

from rgb_core.errors import InputError
from rgb_core.evaluation import EvaluationOptions, evaluate
from rgb_core.evaluation.lpips import Lpips

# torchvision's layouts. AlexNet: output channels, kernel, stride, padding of a convolution, all of which are compared,
# or window and stride of max-pooling. VGG: channels and number of convolutions of a block, compared at its end.
_ALEX = [(64, 11, 4, 2), (3, 2), (192, 5, 1, 2), (3, 2), (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1)]
_VGG_BLOCKS = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]


def _alex():
    """The convolutional part of AlexNet as modules, and the positions whose outputs are compared."""
    layers, taps, inputs = [], [], 3
    for step in _ALEX:
        if len(step) == 2:
            layers.append(torch.nn.MaxPool2d(*step))
        else:
            layers += [torch.nn.Conv2d(inputs, *step), torch.nn.ReLU()]
            inputs = step[0]
            taps.append(len(layers) - 1)
    return torch.nn.Sequential(*layers), taps


def _vgg():
    layers, taps, inputs = [], [], 3
    for channels, count in _VGG_BLOCKS:
        for _ in range(count):
            layers += [torch.nn.Conv2d(inputs, channels, 3, padding=1), torch.nn.ReLU()]
            inputs = channels
        taps.append(len(layers) - 1)
        layers.append(torch.nn.MaxPool2d(2, 2))
    return torch.nn.Sequential(*layers), taps


_NETS = {"alex": _alex, "vgg": _vgg}


@pytest.fixture(scope="module", params=sorted(_NETS))
def net(request, tmp_path_factory):
    """Name, modules, taps, linear weights and weights file of a net with random weights."""
    torch.manual_seed(0)
    modules, taps = _NETS[request.param]()
    linear = [torch.rand(1, modules[tap - 1].out_channels, 1, 1) for tap in taps]
    weights = {f"features.{name}": value for name, value in modules.state_dict().items()}
    weights |= {f"lin{index}.model.1.weight": value for index, value in enumerate(linear)}
    path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    save_file(weights, path)
    return request.param, modules, taps, linear, path


def _pictures():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(33, 35, 3, generator=generator), torch.rand(33, 35, 3, generator=generator)


def test_agrees_with_the_modules(net):
    _, modules, taps, linear, path = net
    a, b = _pictures()

    def features(image):
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        value = ((2 * image - 1 - shift) / scale).permute(2, 0, 1)[None]
        found = []
        for index, layer in enumerate(modules):
            value = layer(value)
            if index in taps:
                found.append(value / (value.norm(dim=1, keepdim=True) + 1e-10))
        return found

    with torch.no_grad():
        pairs = zip(linear, features(a), features(b), strict=True)
        expected = sum(float((weight * (x - y) ** 2).sum(1).mean()) for weight, x, y in pairs)
    assert Lpips(path)(a, b) == pytest.approx(expected, rel=1e-4)  # float32 sums in another order


def test_is_a_distance(net):
    name, *_, path = net
    distance = Lpips(path)
    a, b = _pictures()
    assert distance.net == name
    assert distance(a, a) == 0
    forth = distance(a, b)
    assert forth > 0
    assert forth == pytest.approx(distance(b, a), rel=1e-6)


def test_torch_files_are_read_without_unpickling_objects(net, tmp_path):
    *_, path = net
    a, b = _pictures()
    weights = Lpips(path)._weights
    torch.save(weights, tmp_path / "weights.pt")
    assert Lpips(tmp_path / "weights.pt")(a, b) == Lpips(path)(a, b)
    torch.save(Lpips(path), tmp_path / "object.pt")
    with pytest.raises(InputError, match=r"object\.pt"):
        Lpips(tmp_path / "object.pt")


def test_unusable_files_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Lpips(tmp_path / "missing.safetensors")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    with pytest.raises(InputError, match=r"noise\.pt"):
        Lpips(tmp_path / "noise.pt")
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match=r"features\.0\.bias is missing"):
        Lpips(tmp_path / "part.safetensors")


@pytest.mark.parametrize("net", ["alex"], indirect=True)
def test_the_record_names_the_net(net, dataset, tmp_path):
    name, *_, path = net
    metrics = evaluate(dataset, Oracle(dataset), tmp_path / "out", options=EvaluationOptions(lpips_weights=path))
    assert metrics["reenactment"]["lpips"] == {name: 0.0}

"""Presets are listed with what they are for, shown setting by setting, and what is mistyped is guessed."""

import json
from pathlib import Path

import pytest

from rgb_core.errors import InputError, did_you_mean
from rgb_core.presets import Preset, load_preset, preset_names, settings_of
from rgb_core.rendering import Renderer
from rgb_core.scene import Light
from tests.commands import run_rgb


def test_every_setting_says_its_unit_and_why():
    settings = settings_of(Preset())
    assert [setting.name for setting in settings if not setting.why] == []
    assert len({setting.name for setting in settings}) == len(settings) > 90


def test_presets_are_listed_and_shown():
    listed = run_rgb("presets")
    assert listed.returncode == 0, listed.stderr
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines()[1:]]
    assert [name for name, _ in lines] == preset_names()
    assert all(len(purpose) > 20 and "#" not in purpose for _, purpose in lines)
    shown = run_rgb("presets", "show", "demo")
    line = next(line for line in shown.stdout.splitlines() if line.startswith("  gaussians.steps "))
    assert line.split(maxsplit=2)[1:] == [
        str(load_preset("demo").gaussians.steps),
        "optimisation steps, one frame each",
    ]
    as_json = json.loads(run_rgb("presets", "show", "demo", "--json").stdout)
    assert as_json["synthetic.relight"]["value"] == ["window", "sunset", "ring", "sun"]


def test_what_is_shown_can_be_set():
    """Every line of `rgb presets show` is a field and a value of `--set`."""
    lines = [line.split(maxsplit=2) for line in run_rgb("presets", "show", "cpu").stdout.splitlines()[1:]]
    plain = [f"{name}={value}" for name, value, _ in lines if not value.startswith("[")]
    assert len(plain) > 90
    assert load_preset("demo", plain) == load_preset("cpu")


@pytest.mark.parametrize(
    ("mistyped", "meant"),
    [
        ("gaussians.stepz=3", "did you mean gaussians.steps?"),
        ("gaussian.steps=3", "did you mean gaussians?"),
        ("steps=3", "did you mean geometry.steps or gaussians.steps?"),
        ("gaussians.max_gaussians=9", "did you mean gaussians.density.max_gaussians?"),
        ("geometry.losses.silhuette=9", "did you mean geometry.losses.silhouette?"),
    ],
)
def test_a_mistyped_setting_is_guessed(mistyped: str, meant: str, tmp_path: Path):
    with pytest.raises(InputError) as refused:
        load_preset("demo", [mistyped])
    assert meant in str(refused.value)
    *parents, last = mistyped.partition("=")[0].split(".")
    text = f"{last}: 3"
    for parent in reversed(parents):
        text = f"{parent}: {{{text}}}"
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as refused:
        load_preset(str(tmp_path / "mine.yaml"))
    assert meant in str(refused.value)


def test_nothing_is_guessed_from_nowhere():
    with pytest.raises(InputError, match=r"'qqqq'; rgb presets show default lists all"):
        load_preset("demo", ["qqqq=1"])
    assert did_you_mean("x" * 100_000, ["sun"]) == ""


def test_mistyped_presets_lights_and_layers_are_guessed():
    with pytest.raises(InputError, match="did you mean quality"):
        load_preset("qualty")
    with pytest.raises(InputError, match=r"did you mean sunset.*studio, window"):
        Light.load("sunsett")
    with pytest.raises(InputError, match=r"did you mean albedo.*choose from"):
        Renderer.render(None, None, None, layers=["albdo"])

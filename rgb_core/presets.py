"""Presets: YAML files validated into configuration, with any field changed by `key.path=value`."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ValidationError

from .errors import InputError, did_you_mean
from .files import read_text
from .geometry import GeometryConfig
from .retracking import RetrackingConfig
from .settings import Settings
from .synthetic import SyntheticConfig
from .training import GaussianConfig
from .yaml_text import parse_setting, parse_yaml

_PACKAGE = "rgb_presets"


class Preset(Settings):
    """The settings of every stage; a stage that a file leaves out has its defaults."""

    synthetic: SyntheticConfig = SyntheticConfig()
    geometry: GeometryConfig = GeometryConfig()
    gaussians: GaussianConfig = GaussianConfig()
    retracking: RetrackingConfig = RetrackingConfig()

    @property
    def further_gaussians(self) -> GaussianConfig:
        """Stage 2 as it goes on after the clip was tracked again."""
        steps = max(1, round(self.retracking.further_steps * self.gaussians.steps))
        return self.gaussians.going_on(steps, self.retracking.further_rates)


class Setting(NamedTuple):
    """One field of a preset: its dotted name as `--set` takes it, its value, and its unit and what it is for."""

    name: str
    value: Any
    why: str


def preset_names() -> list[str]:
    """The built-in presets."""
    return sorted(
        file.name.removesuffix(".yaml") for file in resources.files(_PACKAGE).iterdir() if file.name.endswith(".yaml")
    )


def preset_purposes() -> dict[str, str]:
    """What each built-in preset is for, by name: the comment that its file begins with."""
    return {name: _builtin_text(name).splitlines()[0].removeprefix("# ") for name in preset_names()}


def settings_of(preset: Preset) -> list[Setting]:
    """Every field of a preset, stage by stage."""
    return list(_settings_below(preset, ""))


def default_preset(device: torch.device) -> str:
    """The preset for a real clip on `device` where none is named."""
    return "default" if device.type == "cuda" else "cpu"


def load_preset(name_or_file: str, overrides: list[str] | None = None) -> Preset:
    """Read a built-in preset or a YAML file and apply `key.path=value` overrides.

    Raises:
        InputError: for an unknown name, a broken file, or a field that does not exist or does not take the value.
    """
    values = _read(name_or_file)
    for override in overrides or []:
        _apply(values, override)
    try:
        return Preset.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise InputError(
                f"preset {name_or_file}: no setting is called '{field}'{_nearest(field)}; "
                "rgb presets show default lists all"
            ) from error
        raise InputError(f"preset {name_or_file}: {field}: {first['msg']} (got {first['input']!r})") from error


def _read(name_or_file: str) -> dict[str, Any]:
    if name_or_file in preset_names():
        text = _builtin_text(name_or_file)
    else:
        path = Path(name_or_file)
        if not path.exists() or path.is_dir():
            kind = "is a folder" if path.is_dir() else "does not exist"
            raise InputError(
                f"preset '{name_or_file}' {kind}{did_you_mean(name_or_file, preset_names())}: "
                f"choose one of {', '.join(preset_names())}, or a YAML file"
            )
        text = read_text(path)
    values = parse_yaml(text, f"preset {name_or_file}") or {}
    if not isinstance(values, dict):
        raise InputError(f"preset {name_or_file} must be a mapping of stages to settings")
    return values


def _builtin_text(name: str) -> str:
    return (resources.files(_PACKAGE) / f"{name}.yaml").read_text(encoding="utf-8")


def _settings_below(group: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, BaseModel):
            yield from _settings_below(value, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", value, field.description or "")


def _nearest(field: str) -> str:
    """The setting or group of settings that a mistyped one stands for: of the same name elsewhere, else the nearest."""
    names = [setting.name for setting in settings_of(Preset())]
    if elsewhere := [name for name in names if name.endswith(f".{field.rpartition('.')[2]}")]:
        return f" (did you mean {' or '.join(elsewhere)}?)"
    return did_you_mean(field, [*names, *{name.rpartition(".")[0] for name in names}])


def _apply(values: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator:
        raise InputError(f"'{override}' is not KEY=VALUE, as in gaussians.steps=2000")
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise InputError(f"'{override}': '{parent}' is a value, not a group of settings")
    values[last] = parse_setting(text, f"'{override}'")

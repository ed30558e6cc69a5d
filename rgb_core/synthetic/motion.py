"""How the built-in subject moves: smooth head turns and sparse ARKit expressions over a clip."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..rotations import axis_angle_to_matrix, matrix_to_axis_angle

YAW_LIMIT, PITCH_LIMIT, ROLL_LIMIT = math.radians(45), math.radians(20), math.radians(12)
TRANSLATION_LIMIT = 0.01  # metres, per axis

EXPRESSION_NOISE = 0.02
ROTATION_NOISE = math.radians(0.25)  # per axis
TRANSLATION_NOISE = 0.0005  # metres, per axis

_FRAMES_PER_TURN = 60
_FRAMES_PER_SYLLABLE = 9
_FRAMES_PER_GLANCE = 28
_FRAMES_PER_MOOD = 45

_TALK = {"jawOpen": 0.7, "mouthFunnel": 0.6, "mouthPucker": 0.6, "mouthLowerDown": 0.45, "mouthUpperUp": 0.4}
_MOOD = {
    "mouthSmile": 0.8, "browInnerUp": 0.7, "browDown": 0.5, "browOuterUp": 0.7, "cheekSquint": 0.5, "mouthFrown": 0.45,
}  # fmt: skip
_GAZE = {"eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeLookDown"}
_BLINK = {"eyeBlink"}
_TONGUE = "tongueOut"
_DIRECTIONS = {"jawLeft", "jawRight", "mouthLeft", "mouthRight"}  # not sides of the face


@dataclass(frozen=True)
class Motion:
    """Exact coefficients of a clip: `expression` [N,E] in 0..1, `rotation` [N,3] (axis-angle), `translation` [N,3]."""

    expression: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray


def wander(rng: np.random.Generator, frames: int, period: float, signals: int) -> np.ndarray:
    """Smooth random signals [frames, signals] of roughly `period` frames; each one's largest magnitude is 1."""
    time = np.arange(frames)[:, None, None]
    # At least one and a half cycles, so that a short clip shows both sides as well.
    cycles = max(frames / period, 1.5) * rng.uniform([0.7, 1.3, 1.9], [1.1, 1.8, 2.6], (signals, 3))
    phase = rng.uniform(0, 2 * math.pi, (signals, 3))
    waves = np.sin(2 * math.pi * cycles * time / frames + phase) * np.array([1.0, 0.5, 0.25])
    signal = waves.sum(-1)
    return signal / np.abs(signal).max(0)


def clip_motion(
    rng: np.random.Generator, names: Sequence[str], frames: int, train_frames: int, pivot_offset: np.ndarray
) -> Motion:
    """Motion of `frames` frames for a head with the ARKit expressions `names`.

    The head turns about a pivot in the neck; `pivot_offset` [3] (metres) leads from the pivot to the root joint.
    Every expression is active at least once in the first `train_frames` frames.
    """
    turns = wander(rng, frames, _FRAMES_PER_TURN, 3) * np.array([PITCH_LIMIT, YAW_LIMIT, ROLL_LIMIT])
    pitch, yaw, roll = (axis_angle_to_matrix(torch.diag_embed(torch.from_numpy(turns))[:, i]) for i in range(3))
    matrices = (yaw @ pitch @ roll).numpy()
    drift = wander(rng, frames, _FRAMES_PER_TURN, 3) * TRANSLATION_LIMIT
    translation = matrices @ pivot_offset - pivot_offset + drift
    rotation = matrix_to_axis_angle(torch.from_numpy(matrices)).numpy()
    expression = _expressions(rng, list(names), frames, train_frames)
    return Motion(expression, rotation, translation)


def tracked(motion: Motion, train_frames: int, scale: float, rng: np.random.Generator) -> Motion:
    """`motion` as a tracker would report it: `scale` times the usual noise on the first `train_frames` frames."""
    sigma = np.zeros((len(motion.expression), 1))
    sigma[:train_frames] = scale
    expression, rotation, translation = (
        values + sigma * unit * rng.standard_normal(values.shape)
        for values, unit in (
            (motion.expression, EXPRESSION_NOISE),
            (motion.rotation, ROTATION_NOISE),
            (motion.translation, TRANSLATION_NOISE),
        )
    )
    return Motion(np.clip(expression, 0, None), rotation, translation)


def _expressions(rng: np.random.Generator, names: list[str], frames: int, train_frames: int) -> np.ndarray:
    values = np.zeros((frames, len(names)))
    stems = [_stem(name) for name in names]
    talk = np.clip(wander(rng, frames, _FRAMES_PER_SYLLABLE, len(_TALK)), 0, 1)
    mood = np.clip(wander(rng, frames, _FRAMES_PER_MOOD, len(_MOOD)) - 0.25, 0, None) / 0.75
    # A conversation: talking stops and starts, and a wide smile leaves less room for syllables.
    talk *= (wander(rng, frames, _FRAMES_PER_MOOD, 1) > -0.5) * 1.0
    for signals, amplitudes in ((talk, _TALK), (mood, _MOOD)):
        for signal, (stem, amplitude) in zip(signals.T, amplitudes.items(), strict=True):
            for column in (i for i, candidate in enumerate(stems) if candidate == stem):
                values[:, column] = amplitude * rng.uniform(0.8, 1.0) * signal
    _add_gaze(rng, values, names)
    _add_others(rng, values, stems, train_frames)
    _add_blinks(rng, values, names)
    return np.clip(values, 0, 1)


def _add_gaze(rng: np.random.Generator, values: np.ndarray, names: list[str]) -> None:
    """Both eyes follow one wandering point; horizontally one turns in while the other turns out."""
    to_left, up = 0.7 * wander(rng, len(values), _FRAMES_PER_GLANCE, 2).T
    signed = {
        "eyeLookOutLeft": to_left, "eyeLookInRight": to_left, "eyeLookInLeft": -to_left, "eyeLookOutRight": -to_left,
        "eyeLookUpLeft": up, "eyeLookUpRight": up, "eyeLookDownLeft": -up, "eyeLookDownRight": -up,
    }  # fmt: skip
    for name, signal in signed.items():
        if name in names:
            values[:, names.index(name)] = np.clip(signal, 0, None)


def _add_others(rng: np.random.Generator, values: np.ndarray, stems: list[str], train_frames: int) -> None:
    """One bump in the training part for every expression still unused, one after another."""
    used = _TALK.keys() | _MOOD.keys() | _GAZE | _BLINK | {_TONGUE}
    others = sorted(set(stems) - used)
    spacing = train_frames / max(len(others), 1)
    time = np.arange(len(values))
    for stem, centre in zip(others, rng.permutation((np.arange(len(others)) + 0.5) * spacing), strict=True):
        bump = np.exp(-0.5 * ((time - round(centre)) / max(1.0, 0.35 * spacing)) ** 2)
        for column in (i for i, candidate in enumerate(stems) if candidate == stem):
            values[:, column] += rng.uniform(0.4, 0.7) * bump


def _add_blinks(rng: np.random.Generator, values: np.ndarray, names: list[str]) -> None:
    """Both lids close for a few frames, about every two seconds."""
    time = np.arange(len(values))
    centre = rng.uniform(4, 14)
    while centre < len(values):
        lid = np.exp(-(((time - centre) / 1.6) ** 4))
        for name in ("eyeBlinkLeft", "eyeBlinkRight"):
            if name in names:
                column = names.index(name)
                values[:, column] = np.maximum(values[:, column], 0.95 * lid)
        centre += rng.uniform(25, 60)


def _stem(name: str) -> str:
    """The name without its side of the face, so that both sides move together."""
    return name if name in _DIRECTIONS else name.removesuffix("Left").removesuffix("Right")

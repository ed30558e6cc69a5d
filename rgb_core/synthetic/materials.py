"""Paint: albedo, roughness, specular albedo and semantic label of the built-in subject at any point of its surface."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..heads.builtin import eyeball
from ..heads.regions import Region
from ..scene.labels import Label
from .anatomy import Anatomy
from .noise import NoiseVolume, smoothstep
from .render import Material
from .subject import Subject

# Linear albedo of skin from dark to light, of hair and of irises: the range that a random person is drawn from.
_SKIN_TONES = ((0.20, 0.105, 0.062), (0.58, 0.385, 0.285))
_HAIR_TONES = ((0.012, 0.009, 0.008), (0.055, 0.028, 0.014), (0.16, 0.085, 0.035))
_IRIS_TONES = ((0.07, 0.030, 0.012), (0.10, 0.16, 0.24), (0.09, 0.13, 0.06))
_GUMS, _TEETH, _SCLERA = (0.36, 0.10, 0.09), (0.66, 0.60, 0.48), (0.70, 0.66, 0.62)
_CROWN, _GAP = 9.5e-3, 0.35e-3  # metres of a tooth that the gums leave bare, and of shade where two of them touch

_PUPIL, _IRIS, _LIMBUS = math.radians(9), eyeball.LIMBUS, math.radians(3)  # angles from the gaze
_MOLES, _MOLE_RADIUS = 5, 0.0011  # metres

_ROUGHNESS = {"skin": 0.50, "hair": 0.55, "lips": 0.38, "eyes": 0.12, "mouth": 0.35, "teeth": 0.25}
_SPECULAR = {"skin": 0.45, "hair": 0.35, "lips": 0.60, "eyes": 1.00, "mouth": 0.60, "teeth": 0.80}


@dataclass(frozen=True)
class Palette:
    """The colours of one person, linear RGB [3] each."""

    skin: Tensor
    hair: Tensor
    iris: Tensor
    beard: float
    """0 for a shaved or hairless chin to 1 for dense stubble."""

    @staticmethod
    def draw(rng: np.random.Generator) -> "Palette":
        """A random person's colours."""
        dark, light = torch.tensor(_SKIN_TONES)
        lightness = rng.uniform(0.25, 1)
        hair = torch.tensor(_HAIR_TONES)[rng.integers(len(_HAIR_TONES))]
        iris = torch.tensor(_IRIS_TONES)[rng.integers(len(_IRIS_TONES))]
        return Palette(torch.lerp(dark, light, lightness), hair, iris, float(rng.choice([0.0, rng.uniform(0.3, 0.8)])))


class SubjectPainter:
    """Evaluates the paint of a `Subject` at surface points, finer than its vertices."""

    def __init__(self, subject: Subject, rng: np.random.Generator) -> None:
        self._subject = subject
        self._faces = subject.surface.faces
        self._anatomy = Anatomy(subject)
        self._palette = Palette.draw(rng)
        self._noise = NoiseVolume(rng)
        head = subject.surface
        self._below = head.skin_weights[:, head.joint_names.index("jaw")] > 0.5
        self._moles = self._anatomy.random_face_points(rng, _MOLES)

    def __call__(self, face_id: Tensor, barycentric: Tensor) -> Material:
        """The material at points given by triangle [N] and barycentric coordinates [N,3]."""
        corners = self._faces[face_id]
        points = (self._subject.skin[corners] * barycentric[..., None]).sum(1)
        region = self._subject.surface.region[corners.gather(1, barycentric.argmax(1, keepdim=True))[:, 0]]
        hair = self._hair(points, (self._subject.hair[corners] * barycentric).sum(1))
        lips = smoothstep(0.35, 0.65, (self._subject.lips[corners] * barycentric).sum(1))
        brow = self._anatomy.brow(points)
        coat = torch.maximum(hair, self._brow_hairs(points, brow))

        albedo = self._skin(points)
        albedo = torch.lerp(albedo, self._lip_colour(points), lips[:, None])
        albedo = torch.lerp(albedo, self._hair_colour(points), coat[:, None])
        roughness = _blend("skin", "lips", "hair", lips, coat, _ROUGHNESS)
        roughness = roughness * (0.85 + 0.3 * self._noise(points, 0.002)[:, 1])
        specular = _blend("skin", "lips", "hair", lips, coat, _SPECULAR)

        eyes, inside, teeth = ((region == code) for code in (Region.EYEBALL, Region.MOUTH, Region.TEETH))
        gums = torch.tensor(_GUMS) * (0.75 + 0.5 * self._noise(points, 0.006)[:, :1])
        enamel = self._tooth_colour(points, self._below[corners[:, 0]], gums)
        for part, name, colour in (
            (eyes, "eyes", self._eye_colour(points)),
            (inside, "mouth", gums),
            (teeth, "teeth", enamel),
        ):
            albedo = torch.where(part[:, None], colour, albedo)
            roughness = torch.where(part, _ROUGHNESS[name], roughness)
            specular = torch.where(part, _SPECULAR[name], specular)
        label = self._label(points, region, hair, lips, brow)
        return Material(albedo.contiguous(), specular[:, None].expand(-1, 3).contiguous(), roughness[:, None], label)

    def _skin(self, points: Tensor) -> Tensor:
        """Skin tone with blotches, freckles, flushed cheeks, moles and stubble."""
        anatomy, tone = self._anatomy, self._palette.skin
        blotches = self._noise.layered(points, (0.03, 0.012, 0.004))[:, :2] - 0.5
        pores = self._noise(points, 0.0012)[:, :1] - 0.5
        cheeks = anatomy.cheeks(points)[:, None]
        albedo = tone * (1 + 0.35 * blotches[:, :1] + 0.12 * pores)
        albedo = albedo * (1 + (0.5 * cheeks + 0.4 * blotches[:, 1:]) * torch.tensor([0.06, -0.28, -0.22]))
        freckles = smoothstep(0.70, 0.82, self._noise(points, 0.0017)[:, 2:3]) * (0.1 + cheeks)
        moles = smoothstep(_MOLE_RADIUS, 0.6 * _MOLE_RADIUS, torch.cdist(points, self._moles).amin(1))
        albedo = albedo * (1 - 0.28 * freckles.clamp(max=1)) * (1 - 0.75 * moles[:, None])
        stubble = anatomy.beard(points) * self._palette.beard * (0.4 + 0.6 * self._noise(points, 0.0012)[:, 3])
        return torch.lerp(albedo, 0.6 * self._palette.hair + 0.25 * tone, 0.7 * stubble[:, None])

    def _lip_colour(self, points: Tensor) -> Tensor:
        creases = self._noise(points * torch.tensor([3.0, 1.0, 1.0]), 0.003)[:, :1]
        return self._palette.skin * torch.tensor([0.88, 0.48, 0.52]) * (0.85 + 0.3 * creases)

    def _hair_colour(self, points: Tensor) -> Tensor:
        strands = self._noise.layered(points * torch.tensor([1.0, 0.3, 0.3]), (0.0030, 0.0012))[:, :1]
        return self._palette.hair * (0.45 + 1.1 * strands)

    def _hair(self, points: Tensor, membership: Tensor) -> Tensor:
        """Coverage [N] of hair: strands make the hairline ragged."""
        strands = self._noise(points * torch.tensor([1.0, 0.35, 0.35]), 0.0025)[:, 0] - 0.5
        return smoothstep(0.30, 0.42, membership + 0.25 * strands)

    def _brow_hairs(self, points: Tensor, brow: Tensor) -> Tensor:
        """Coverage [N] of the brows: short slanted hairs, denser in the middle."""
        slanted = points[:, :2] @ torch.tensor([[1.0, 0.25], [0.5, 0.35]])
        outward = torch.where(points[:, :1] >= 0, slanted, slanted * torch.tensor([-1.0, 1.0]))
        hairs = self._noise(torch.cat([outward, points[:, 2:]], 1), 0.0008)[:, 1] - 0.5
        return 0.9 * smoothstep(0.05, 0.65, brow + 0.8 * hairs) * (brow > 0)

    def _eye_colour(self, points: Tensor) -> Tensor:
        """Black pupil, rayed iris with a dark rim, sclera that reddens away from the iris."""
        angle = self._anatomy.eye_angle(points)[:, None]
        rays = self._noise(points * torch.tensor([1.0, 1.0, 0.1]), 0.0009)[:, :1]
        iris = self._palette.iris * (0.55 + 0.9 * rays) * (1 - 0.7 * smoothstep(_IRIS - _LIMBUS, _IRIS, angle))
        veins = smoothstep(0.70, 0.80, self._noise(points, 0.0016)[:, 1:2]) * smoothstep(_IRIS, 2 * _IRIS, angle)
        sclera = torch.tensor(_SCLERA) * (1 - veins * torch.tensor([0.05, 0.30, 0.28]))
        eye = torch.lerp(iris, sclera, smoothstep(_IRIS - 0.3 * _LIMBUS, _IRIS + 0.7 * _LIMBUS, angle))
        return torch.lerp(torch.full_like(eye, 0.004), eye, smoothstep(_PUPIL - 0.5 * _LIMBUS, _PUPIL, angle))

    def _tooth_colour(self, points: Tensor, lower: Tensor, gums: Tensor) -> Tensor:
        """Enamel, darker where teeth touch, up to gums that reach farther down between them."""
        height, beside = self._anatomy.tooth(points, lower)
        enamel = torch.tensor(_TEETH) * (0.9 + 0.2 * self._noise(points, 0.003)[:, :1])
        enamel = enamel * (0.35 + 0.65 * smoothstep(0.0, 2 * _GAP, beside))[:, None]
        gum_line = _CROWN - 4 * _GAP * (1 - smoothstep(0.0, 6 * _GAP, beside))
        return torch.lerp(enamel, gums, smoothstep(0.0, _GAP, height - gum_line)[:, None])

    def _label(self, points: Tensor, region: Tensor, hair: Tensor, lips: Tensor, brow: Tensor) -> Tensor:
        """Semantic label [N] int64; what is painted later hides what is painted earlier."""
        left = points[:, 0] >= 0
        label = torch.full((len(points),), Label.SKIN)
        for inside, code in (
            (self._anatomy.nose(points) > 0.5, Label.NOSE),
            (region == Region.NECK, Label.NECK),
            (region == Region.EAR, torch.where(left, Label.LEFT_EAR, Label.RIGHT_EAR)),
            (brow > 0.25, torch.where(left, Label.LEFT_BROW, Label.RIGHT_BROW)),
            (lips > 0.5, torch.where(self._anatomy.upper_lip(points), Label.UPPER_LIP, Label.LOWER_LIP)),
            ((region == Region.MOUTH) | (region == Region.TEETH), Label.INNER_MOUTH),
            (
                (region == Region.EYEBALL) | (region == Region.EYE_SOCKET),
                torch.where(left, Label.LEFT_EYE, Label.RIGHT_EYE),
            ),
            (hair > 0.5, Label.HAIR),
        ):
            label = torch.where(inside, code, label)
        return label


def _blend(base: str, first: str, second: str, by_first: Tensor, by_second: Tensor, table: dict[str, float]) -> Tensor:
    """`table[base]` covered by `first` and then by `second`, [N]."""
    value = table[base] + (table[first] - table[base]) * by_first
    return value + (table[second] - value) * by_second

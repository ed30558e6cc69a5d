"""The parts of a head that a head model tells apart, one code per vertex."""

from collections.abc import Iterable
from enum import IntEnum

import torch
from torch import Tensor


class Region(IntEnum):
    """What a vertex belongs to; the codes of `region` in head.npz (docs/formats.md)."""

    SKIN = 0
    SCALP = 1
    NECK = 2
    EAR = 3
    EYEBALL = 4
    EYE_SOCKET = 5
    MOUTH = 6
    """The inside of the mouth: gums and tongue."""
    TEETH = 7
    LIPS = 8
    OTHER = 9
    """Anything else, and what is always hidden."""

    @property
    def title(self) -> str:
        """What people call it."""
        return {Region.MOUTH: "mouth interior"}.get(self, self.name.lower().replace("_", " "))


OUTER_SKIN = (Region.SKIN, Region.SCALP, Region.NECK, Region.EAR, Region.LIPS)
"""What touches the air; the rest lies in the sockets, in the mouth or hidden."""
RIGID = (Region.EYEBALL, Region.TEETH, Region.OTHER)
"""Keep their shape whatever the face does."""
UNCHANGING = (Region.EYEBALL, Region.MOUTH, Region.TEETH)
"""What no expression changes the look of."""


def in_regions(codes: Tensor, regions: Iterable[Region]) -> Tensor:
    """bool, of the shape of `codes`: where the code is one of `regions`."""
    return torch.isin(codes, torch.tensor(list(regions), dtype=codes.dtype, device=codes.device))

"""Large pictures a strip of rows at a time: what is made of one needs the memory of a strip and not of the whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

_PIXELS = 1 << 20


@dataclass(frozen=True)
class Strips:
    """A picture of `height` x `width` pixels that is decoded while it is looked at, once."""

    height: int
    width: int
    parts: Iterator[tuple[int, np.ndarray]]
    """The first row of a strip and its pixels [rows, width, channels], in any order of rows."""

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> "Strips":
        """The picture with `change` made to every strip."""
        return replace(self, parts=((first, change(pixels)) for first, pixels in self.parts))

    def whole(self) -> Tensor:
        """The picture [H, W, C]."""
        picture = None
        for first, pixels in self.parts:
            if picture is None:
                picture = np.empty((self.height, self.width, pixels.shape[2]), pixels.dtype)
            picture[first : first + len(pixels)] = pixels
        assert picture is not None  # no picture has no rows
        return torch.from_numpy(picture)

    def averaged(self, by_row: csr_array, by_column: csr_array) -> Tensor:
        """The picture float32 [H', W', C] whose pixels are sums over rows and columns of this one.

        Args:
            by_row: [H', H] weights, see `resize.sparse_overlap`.
            by_column: [W', W] weights.
        """
        rows, columns = by_row.shape[0], by_column.shape[0]
        by_row, by_column = by_row.astype(np.float32).tocsc(), by_column.astype(np.float32)
        result = None
        for first, pixels in self.parts:
            count, width, channels = pixels.shape
            part = by_row[:, first : first + count]
            touched = np.unique(part.indices)
            if result is None:
                result = np.zeros((rows, columns, channels), np.float32)
            fewer_rows = part.tocsr()[touched] @ pixels.reshape(count, width * channels)
            turned = fewer_rows.reshape(-1, width, channels).transpose(1, 0, 2).reshape(width, -1)
            result[touched] += (by_column @ turned).reshape(columns, -1, channels).transpose(1, 0, 2)
        assert result is not None
        return torch.from_numpy(result)


def strip_bounds(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First and last row (exclusive) of strips of about a million pixels."""
    count = max(1, _PIXELS // width)
    return ((first, min(first + count, height)) for first in range(0, height, count))

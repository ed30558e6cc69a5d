"""Area downsampling of images and label maps: every target pixel is the mean of the source area it covers."""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor


def sparse_overlap(source_edges: Tensor, target_edges: Tensor) -> csr_array:
    """[T, S] share of each target interval that each source interval covers.

    Both edge lists ascend and span the same range; rows sum to 1, so that sums weighted by interval length are kept.
    """
    old, new = source_edges.numpy(), target_edges.numpy()
    edges = np.unique(np.concatenate([old, new]))
    source, target = (np.searchsorted(of, edges[:-1], side="right") - 1 for of in (old, new))
    shares = np.diff(edges) / np.diff(new)[target]
    return csr_array((shares, (target, source)), shape=(len(new) - 1, len(old) - 1))


def overlap_weights(source_edges: Tensor, target_edges: Tensor) -> Tensor:
    """`sparse_overlap` as a table of all pairs, for lists of hundreds."""
    return torch.from_numpy(sparse_overlap(source_edges, target_edges).toarray())


def uniform_edges(count: int) -> Tensor:
    """Edges [count + 1] float64 that split 0 to 1 evenly."""
    return torch.arange(count + 1, dtype=torch.float64) / count


def downsample(image: Tensor, width: int, height: int) -> Tensor:
    """Area-average [H, W, C] to [height, width, C]; give it linear, premultiplied values.

    Raises:
        ValueError: when the target is empty or larger than the image.
    """
    rows, columns, channels = image.shape
    if not (0 < height <= rows and 0 < width <= columns):
        raise ValueError(f"cannot reduce {columns} x {rows} pixels to {width} x {height}")
    if rows % height == 0 and columns % width == 0:  # whole boxes need no weights
        return image.reshape(height, rows // height, width, columns // width, channels).mean((1, 3))
    by_row = overlap_weights(uniform_edges(rows), uniform_edges(height)).to(image)
    by_column = overlap_weights(uniform_edges(columns), uniform_edges(width)).to(image)
    return torch.einsum("hr,rcn,wc->hwn", by_row, image, by_column)


def downsample_labels(labels: Tensor, width: int, height: int) -> Tensor:
    """Reduce uint8 [H, W] to [height, width]: the label that covers most of each pixel, the smallest one on a tie."""
    if labels.shape == (height, width):
        return labels
    present = labels.unique()
    coverage = [downsample((labels == label)[..., None].float(), width, height)[..., 0] for label in present]
    return present[torch.stack(coverage).argmax(0)]

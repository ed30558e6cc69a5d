"""Which texels a point sees: binary visibility at the corners of its mesh triangle, blended by barycentrics."""

from dataclasses import dataclass

import torch
from kernel_runtime import ArgumentError, as_numpy, check_tensor
from torch import Tensor

BITS = 32


@dataclass(frozen=True)
class PointVisibility:
    """Visibility of the environment from P points on a mesh of V vertices and F faces.

    A point's weight for a texel is the barycentric mean of its triangle's three visibility bits. Nothing in here has
    a gradient.
    """

    words: Tensor  # [V, S] int32, S >= ceil(H W / 32); bit t % 32 (from the lowest) of word t // 32: texel t is seen
    faces: Tensor  # [F, 3] int32 vertex indices
    face_id: Tensor  # [P] int64, the triangle each point lies on
    barycentric: Tensor  # [P, 3] float, used as given

    def checked(self, points: int, texels: int, device: torch.device) -> "PointVisibility":
        """The same, contiguous, or ArgumentError where a shape, dtype, device or index does not fit.

        Indices are read on the CPU only; a look at those of a CUDA device would wait for it.
        """
        words = check_tensor("visibility.words", self.words, (None, None), torch.int32, device)
        faces = check_tensor("visibility.faces", self.faces, (None, 3), torch.int32, device)
        face_id = check_tensor("visibility.face_id", self.face_id, (points,), torch.int64, device)
        barycentric = check_tensor(
            "visibility.barycentric", self.barycentric.detach(), (points, 3), torch.float32, device
        )
        if words.shape[1] * BITS < texels:
            raise ArgumentError(f"visibility.words: {words.shape[1]} words are too few for a map of {texels} texels")
        words = words[:, : -(-texels // BITS)].contiguous()
        if device.type == "cpu":
            check_indices("visibility.faces", faces, len(words))
            check_indices("visibility.face_id", face_id, len(faces))
        elif points > 0 and 0 in (len(words), len(faces)):
            raise ArgumentError("visibility: expected vertices and faces, got none")
        return PointVisibility(words, faces, face_id, barycentric)


def unpack_bits(words: Tensor, count: int) -> Tensor:
    """The first `count` bits of each row of `words` [..., S] int32, as bool [..., count]."""
    shifts = torch.arange(BITS, dtype=torch.int32, device=words.device)
    bits = (words.unsqueeze(-1) >> shifts) & 1
    return bits.flatten(-2)[..., :count].bool()


def visibility_weights(visibility: PointVisibility, texels: int, dtype: torch.dtype) -> Tensor:
    """Weights [P, texels] of every texel for every point."""
    corners = visibility.faces.long()[visibility.face_id]
    bits = unpack_bits(visibility.words[corners], texels).to(dtype)
    return torch.einsum("pk,pkt->pt", visibility.barycentric.to(dtype), bits)


def check_indices(name: str, indices: Tensor, size: int) -> None:
    """Raise ArgumentError unless all `indices` lie in [0, size)."""
    # In numpy, because waking torch's threads for 0.02 ms of work costs milliseconds on a busy machine.
    array = as_numpy(indices.cpu())
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ArgumentError(f"{name}: indices must lie in [0, {size}), found {array.min()} to {array.max()}")

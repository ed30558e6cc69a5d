"""What `rgb synth` can be told about the clip it makes."""

from typing import Annotated

from pydantic import Field

from ..settings import Settings


class SyntheticConfig(Settings):
    """A clip of the built-in subject. The defaults make a clip like a short selfie video."""

    frames: Annotated[int, Field(ge=1, le=100_000)] = 160
    """Training frames."""

    test_frames: Annotated[int, Field(ge=1, le=100_000)] = 32
    """Test frames, which follow the training frames in the same motion."""

    size: Annotated[int, Field(ge=16, le=4096)] = 512
    """Width and height of the pictures in pixels."""

    samples: Annotated[int, Field(ge=1, le=256)] = 4
    """Camera rays per pixel, one in each cell of a Latin square."""

    shadow_rays: Annotated[int, Field(ge=2, le=4096, multiple_of=2)] = 20
    """Rays per camera ray that look for what hides the light: half towards the light, half spread by the cosine."""

    ground_truth_every: Annotated[int, Field(ge=1)] = 4
    """Every how many test frames the relit pictures, albedo, normals and mesh are written."""

    tracking_noise: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Error of the training frames' coefficients: 1 is sigma 0.02 in expression, 0.25 degrees, 0.5 mm."""

    light: str = "studio"
    """The built-in light of the clip; the seed turns it about the vertical."""

    relight: tuple[str, ...] = ("window", "sunset", "ring", "sun")
    """Built-in lights under which the ground-truth frames are rendered once more."""

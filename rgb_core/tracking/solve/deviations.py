"""Expected errors and habits of faces and detectors: what every term of the fit is measured in."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Deviations:
    """Expected errors and habits, one standard deviation each; differences are those at 25 frames a second."""

    landmark: float = 0.010
    """Error of a landmark as a share of the face's size in the picture."""
    robust: float = 1.5
    """Errors from which on a point counts less than squared, in units of `landmark` or `contrast`."""
    relation_robust: float = 3.0
    """The same for relations, in units of `relation`: a blink is no outlier."""
    correlation: float = 0.1
    """Share of independent evidence in a landmark: neighbours err together."""
    relation: float = 0.004
    """Error of a difference of `landmarks.relations`, as a share of the face's size."""
    relation_evidence: float = 0.4
    """Share of independent evidence in such a difference."""
    contrast: float = 0.4
    """Error of the contrast of a point of the face, in local standard deviations."""
    photometric_evidence: float = 0.3
    """Share of independent evidence in such a point."""
    landmarks_beside_pictures: float = 0.2
    """What is left of the landmarks' evidence, relations apart, once pictures speak: they err alike in like frames."""
    frames: float = 30.0
    """A clip says as much about what all its frames share as so many independent frames."""
    shape: float = 1.0
    """Identity coefficients."""
    sparsity: float = 0.6
    """Cost of a whole ARKit expression."""
    expression: float = 0.7
    """ARKit expressions about 0, in addition to the sparsity."""
    signed_expression: float = 1.0
    """Other expressions."""
    joint: float = math.radians(20)
    """Free joints (jaw, eyes)."""
    log_focal: float = 0.08
    """Logarithm of the focal length about its guess."""
    bend_rotation: float = math.radians(0.4)
    """Second difference between frames of the head's rotation."""
    bend_position: float = 0.0008
    """The same of its position, metres."""
    bend_joint: float = math.radians(1.5)
    """The same of jaw and eyes."""
    bend_expression: float = 0.06
    """The same of expression coefficients."""
    bend_lids: float = 0.6
    """The same of blinks and gaze, which are the fastest movements of a face."""

"""A torso at rest under a head that turns: the landmarks stay, the shoulders do not follow."""

import torch

from rgb_core.heads import Pose, builtin_head
from rgb_core.heads.pose import skull_rotation
from rgb_core.tracking.solve.clip import TrackedClip
from rgb_core.tracking.solve.neck import bend_neck

from .clips import FOCAL, spread_correspondence

CAMERA = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.9]]).double()


def rigid_clip(yaw: torch.Tensor) -> TrackedClip:
    """A head that turns by `yaw` [N] radians with its shoulders."""
    head, count = builtin_head(), len(yaw)
    joints = torch.zeros(count, head.joint_count, 3).double()
    joints[:, 0, 1] = yaw
    expression = torch.zeros(count, len(head.expression_names)).double()
    nothing = torch.zeros(count, 478, 2).double()
    pose = Pose(expression, joints, torch.zeros(count, 3).double())
    return TrackedClip(pose, torch.zeros(0), FOCAL, CAMERA, nothing)


def vertices(clip: TrackedClip) -> torch.Tensor:
    return builtin_head().pose(clip.pose.to(torch.float32)).vertices


def test_the_face_stays_and_the_torso_rests() -> None:
    head, clip = builtin_head(), rigid_clip(torch.linspace(-0.6, 0.6, 9))
    bent = bend_neck(head, clip, spread_correspondence(head))
    before, after = vertices(clip), vertices(bent)
    marks = spread_correspondence(head).points
    moved = (marks(after) - marks(before)).norm(dim=-1)
    assert float(moved.median()) < 5e-4  # metres: skinning leaves the root a share, most of it under and behind the jaw
    assert float(moved[:, marks(head.vertices)[:, 1] > -0.03].max()) < 1.5e-3
    torso = head.vertices[:, 1] < -0.18
    # The pivot of a rigid turn lies at the root, that of a neck above it: the torso shifts, it does not turn.
    across = after[:, torso] - after[:, torso].mean(1, keepdim=True)
    assert float((across - across[4]).norm(dim=-1).max()) < 2e-3
    assert float((before[:, torso] - before[4, torso]).norm(dim=-1).max()) > 0.03
    assert float(bent.projected.norm(dim=-1).median()) < 0.5  # pixels that the landmarks moved by


def test_the_skull_turns_as_before() -> None:
    head, clip = builtin_head(), rigid_clip(torch.linspace(-0.6, 0.6, 9))
    bent = bend_neck(head, clip, spread_correspondence(head))
    turned = skull_rotation(bent.pose.joints, head.joint_names)
    wanted = skull_rotation(clip.pose.joints, head.joint_names)
    cosine = ((turned.mT @ wanted).diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    assert float(cosine.clamp(-1, 1).acos().rad2deg().max()) < 1.0  # what the root's share of the face takes


def test_shoulders_follow_where_a_neck_cannot_turn() -> None:
    head, clip = builtin_head(), rigid_clip(torch.linspace(-1.5, 1.5, 9))
    bent = bend_neck(head, clip, spread_correspondence(head))
    neck = bent.pose.joints[:, head.joint_names.index("neck")].norm(dim=1).rad2deg()
    assert 49 < float(neck.max()) < 53
    assert float(bent.pose.joints[0, 0, 1].rad2deg()) < -30

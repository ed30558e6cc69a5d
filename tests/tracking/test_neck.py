"""A torso at rest under a head that turns: the landmarks stay, the shoulders do not follow."""

import torch

from rgb_core.heads import HeadModel, Pose, builtin_head, with_shoulders
from rgb_core.heads.pose import skull_rotation
from rgb_core.tracking.solve.clip import TrackedClip
from rgb_core.tracking.solve.neck import bend_neck

from .clips import FOCAL, spread_correspondence

SECONDS = torch.arange(9).double() / 25
CAMERA = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 0.9]]).double()


def rigid_clip(yaw: torch.Tensor, head: HeadModel | None = None) -> TrackedClip:
    """A head that turns by `yaw` [N] radians with its shoulders."""
    head, count = head or builtin_head(), len(yaw)
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
    bent = bend_neck(head, clip, spread_correspondence(head), SECONDS)
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
    bent = bend_neck(head, clip, spread_correspondence(head), SECONDS)
    turned = skull_rotation(bent.pose.joints, head.joint_names)
    wanted = skull_rotation(clip.pose.joints, head.joint_names)
    cosine = ((turned.mT @ wanted).diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    assert float(cosine.clamp(-1, 1).acos().rad2deg().max()) < 1.0  # what the root's share of the face takes


def test_shoulders_follow_where_a_neck_cannot_turn() -> None:
    head, clip = builtin_head(), rigid_clip(torch.linspace(-1.5, 1.5, 9))
    bent = bend_neck(head, clip, spread_correspondence(head), SECONDS)
    neck = bent.pose.joints[:, head.joint_names.index("neck")].norm(dim=1).rad2deg()
    assert 49 < float(neck.max()) < 53
    assert float(bent.pose.joints[0, 0, 1].rad2deg()) < -30


def test_a_torso_with_a_joint_of_its_own_moves_slowly_under_a_head_that_shakes() -> None:
    """The head is shaken by 3 mm across the view from frame to frame; the shoulders drift by 8 mm in two seconds."""
    head, count = with_shoulders(builtin_head()), 50
    seconds = torch.arange(count).double() / 25
    still = rigid_clip(torch.zeros(count), head)
    drift = torch.stack([0.004 * seconds, 0 * seconds, 0 * seconds], 1)
    shake = 0.003 * torch.tensor([1.0, 1.0, 0.0]).double() * (-1.0) ** torch.arange(count).double()[:, None]
    pose = Pose(still.pose.expression, still.pose.joints, drift + shake)
    clip = TrackedClip(pose, still.shape, still.focal, still.world_to_camera, still.projected)
    bent = bend_neck(head, clip, spread_correspondence(head), seconds)
    after = head.pose(bent.pose.to(torch.float32)).vertices
    torso = after[:, head.vertices[:, 1] < -0.19].mean(1)
    torso = torso - torso[25]
    middle = slice(20, 31)  # a second's smoothing needs that much to either side
    assert (
        float((torso[middle] - (drift - drift[25])[middle])[:, :2].abs().max()) < 7e-4
    )  # the chest lies before the root
    marks = spread_correspondence(head).points
    before = head.pose(clip.pose.to(torch.float32)).vertices
    moved = (marks(after) - marks(before)).norm(dim=-1)
    assert float(moved.median()) < 2e-4

"""FLAME files become the head model that FLAME's formulas describe, whoever wrote them."""

import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from flame_samples import (
    EYEBALL,
    FACES,
    VERTICES,
    flame_arrays,
    write_eyelids,
    write_flame,
    write_landmarks,
    write_masks,
)

from rgb_core.errors import InputError
from rgb_core.heads import HeadModel, Pose, load_any_head, load_head, save_head
from rgb_core.heads.foreign import load_flame
from rgb_core.heads.foreign.flame_version import PEAKS_2020, recognise_version
from rgb_core.heads.regions import Region

FLOAT32 = 2e-6
"""Metres: single precision of values up to 0.3 m summed over 400 modes and 36 correctives."""


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return flame_arrays()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, np.ndarray]) -> Path:
    return write_flame(tmp_path_factory.mktemp("flame") / "FLAME2020" / "generic_model.pkl", arrays)


@pytest.fixture(scope="module")
def head(path: Path) -> HeadModel:
    return load_flame(path)


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rodrigues by the matrix exponential's eigenvalues: nothing shared with the product's formula."""
    x, y, z = vector
    values, vectors = np.linalg.eig(np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=complex))
    return np.real(vectors @ np.diag(np.exp(values)) @ np.linalg.inv(vectors))


def flame_by_hand(arrays, shape, expression, pose, translation, lids=None, eyelids=None) -> np.ndarray:
    """FLAME's forward pass in double precision from the file's own arrays, joint by joint, vertex by vertex."""
    shaped = arrays["v_template"] + arrays["shapedirs"] @ np.concatenate([shape, expression])
    if lids is not None:
        shaped = shaped + lids[0] * eyelids[0] + lids[1] * eyelids[1]
    joints = arrays["J_regressor"] @ shaped
    rotations = [rotation(vector) for vector in pose]
    feature = np.concatenate([(matrix - np.eye(3)).ravel() for matrix in rotations[1:]])
    posed = shaped + arrays["posedirs"] @ feature
    world = []
    for joint, parent in enumerate([None, 0, 1, 1, 1]):
        local = np.eye(4)
        local[:3, :3] = rotations[joint]
        local[:3, 3] = joints[joint] - (joints[parent] if parent is not None else 0)
        world.append(local if parent is None else world[parent] @ local)
    out = np.zeros_like(posed)
    for joint, matrix in enumerate(world):
        moved = (posed - joints[joint]) @ matrix[:3, :3].T + matrix[:3, 3]
        out += arrays["weights"][:, joint, None] * moved
    return out + translation


@pytest.mark.parametrize("with_eyelids", [False, True])
def test_posing_is_flames(path: Path, arrays: dict[str, np.ndarray], tmp_path: Path, with_eyelids: bool):
    draw = np.random.default_rng(3)
    eyelids = write_eyelids(tmp_path) if with_eyelids else None
    head = load_flame(path, eyelids=tmp_path if with_eyelids else None)
    shape, expression = draw.normal(size=300), draw.normal(size=100)
    pose, translation = draw.normal(scale=0.3, size=(5, 3)), draw.normal(size=3) * 0.1
    lids = draw.uniform(size=2) if with_eyelids else None
    coefficients = expression if lids is None else np.concatenate([expression, lids])

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).float()

    person = head.with_identity(tensor(shape))
    posed = person.pose(Pose(tensor(coefficients), tensor(pose), tensor(translation)))
    wanted = flame_by_hand(arrays, shape, expression, pose, translation, lids, eyelids)
    assert np.abs(posed.vertices.numpy() - wanted).max() < FLOAT32
    assert np.abs(wanted - arrays["v_template"]).max() > 0.05


def test_what_the_model_holds(head: HeadModel, arrays: dict[str, np.ndarray]):
    assert head.name == "flame2020"
    assert head.shape_basis.shape == (300, VERTICES, 3)
    assert head.expression_names == tuple(f"expression{index:03d}" for index in range(100))
    assert head.joint_parents.tolist() == [-1, 0, 1, 1, 1]
    assert head.faces.tolist() == arrays["f"].tolist()
    assert head.landmarks68 is None
    assert json.loads(head.meta)["version"] == "flame2020 by file name"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("chumpy", [False, True])
def test_every_protocol_holds_the_same(tmp_path: Path, protocol: int, chumpy: bool):
    small = flame_arrays()
    small |= {"shapedirs": np.round(small["shapedirs"], 3)}  # compresses nothing, but shows rounding
    written = write_flame(tmp_path / "flame2023.pkl", small, protocol, chumpy)
    head = load_flame(written)
    assert head.name == "flame2023"
    assert torch.equal(head.expression_basis[7], torch.from_numpy(small["shapedirs"][..., 307]).float())
    assert torch.equal(head.joint_regressor, torch.from_numpy(small["J_regressor"]).float())


@pytest.mark.parametrize("sparse", [False, True])
def test_npz(tmp_path: Path, arrays: dict[str, np.ndarray], head: HeadModel, sparse: bool):
    import scipy.sparse

    values = dict(arrays)
    if sparse:
        values["J_regressor"] = np.array(scipy.sparse.csc_matrix(arrays["J_regressor"]), dtype=object)
    np.savez(tmp_path / "flame2023_no_jaw.npz", **values, allow=np.array({"not": "needed"}, dtype=object))
    loaded = load_any_head(tmp_path / "flame2023_no_jaw.npz")
    assert loaded.name == "flame2023"
    assert torch.equal(loaded.vertices, head.vertices)
    assert torch.equal(loaded.joint_regressor, head.joint_regressor)


@pytest.mark.parametrize("left_eye_first", [True, False])
def test_eyes_are_named_by_what_they_move(tmp_path: Path, left_eye_first: bool):
    head = load_flame(write_flame(tmp_path / "flame2023.pkl", flame_arrays(left_eye_first=left_eye_first)))
    pose = Pose.rest(100, 5)
    still = head.pose(pose).vertices
    pose.joints[head.joint_names.index("left_eye"), 1] = 0.3
    correctives = torch.zeros_like(head.pose_basis)
    moved = type(head)(**{**vars(head), "pose_basis": correctives}).pose(pose).vertices
    assert still[(moved - still).norm(dim=1) > 1e-4, 0].min() > 0.01  # the head's left is +x


def test_teeth_and_padded_eyelids(tmp_path: Path):
    arrays = flame_arrays(vertices=VERTICES + 120)
    eyelids = write_eyelids(tmp_path)
    head = load_flame(write_flame(tmp_path / "flame2023.pkl", arrays), eyelids=tmp_path)
    assert head.vertex_count == 5143
    assert set(head.region[VERTICES:].tolist()) == {7}
    left = head.expression_basis[head.expression_index("eyelidLeft")]
    assert torch.equal(left[:VERTICES], torch.from_numpy(eyelids[0]).float())
    assert not left[VERTICES:].any()


def test_regions_from_weights_and_shape(head: HeadModel, arrays: dict[str, np.ndarray]):
    region = head.region.numpy()
    assert (region[-2 * EYEBALL :] == Region.EYEBALL).all()
    body = slice(0, -2 * EYEBALL)
    assert not (region[body] == Region.EYEBALL).any()
    assert (region[body][arrays["weights"][body, 0] > 0.5] == Region.NECK).all()
    y, z = arrays["v_template"][body, 1], arrays["v_template"][body, 2]
    follows_head = arrays["weights"][body, 0] <= 0.5
    assert (region[body][(y > 0.11) & follows_head] == Region.SCALP).all()  # the crown
    face = (z > 0.08) & (np.abs(y) < 0.02) & follows_head
    assert face.sum() > 20
    assert (region[body][face] == Region.SKIN).all()


def test_regions_from_masks(path: Path, tmp_path: Path):
    masks = write_masks(tmp_path / "FLAME_masks.pkl")
    region = load_flame(path, masks=tmp_path / "FLAME_masks.pkl").region
    codes = {
        "face": Region.SKIN,
        "scalp": Region.SCALP,
        "neck": Region.NECK,
        "boundary": Region.NECK,
        "left_ear": Region.EAR,
        "right_ear": Region.EAR,
        "lips": Region.LIPS,
        "right_eyeball": Region.EYEBALL,
    }
    for part, code in codes.items():
        assert set(region[masks[part]].tolist()) == {code}, part


@pytest.mark.parametrize("full", [True, False])
def test_landmarks_snap_to_the_nearest_corner(path: Path, arrays: dict[str, np.ndarray], tmp_path: Path, full: bool):
    faces, shares = write_landmarks(tmp_path / "landmark_embedding.npy", full)
    head = load_flame(path, landmarks=tmp_path / "landmark_embedding.npy")
    wanted = [arrays["f"][face][share.argmax()] for face, share in zip(faces, shares, strict=True)]
    assert head.landmarks68.tolist() == wanted
    assert (head.region == Region.LIPS).any()


def test_converted_model_survives_head_npz(head: HeadModel, tmp_path: Path):
    save_head(head, tmp_path / "head.npz")
    loaded = load_head(tmp_path / "head.npz")
    assert torch.equal(loaded.vertices, head.vertices)
    assert torch.equal(loaded.expression_basis, head.expression_basis)
    assert load_any_head(tmp_path / "head.npz").name == "flame2020"


def test_2020_is_told_by_its_expressions(tmp_path: Path):
    """A file of any name whose expressions 0 and 49 move the face as far as those of FLAME 2020 do."""
    arrays = flame_arrays()
    template = arrays["v_template"]
    face = (template[:, 2] > 0.06) & (np.abs(template[:, 1]) < 0.03) & (arrays["weights"][:, [0, 3, 4]].max(1) < 0.5)
    arrays["f"][:5] = np.flatnonzero(face)[:15].reshape(5, 3)
    turn = np.cross([2e-3, -1e-3, 1e-3], template) + 1e-3  # the head as a whole moves a little, as FLAME's does
    for expression, peak in PEAKS_2020.items():
        arrays["shapedirs"][..., 300 + expression] = turn + np.outer(face, [0, peak, 0])
    file = tmp_path / "plain" / "model.pkl"
    assert json.loads(load_flame(write_flame(file, arrays)).meta)["version"] == "flame2020 by expressions"
    arrays["shapedirs"][..., 300] *= 2
    with pytest.raises(InputError, match="--version"):
        load_flame(write_flame(file, arrays))
    assert load_flame(file, version="flame2023").name == "flame2023"


def test_years_in_names(tmp_path: Path, arrays: dict[str, np.ndarray]):
    for name, version in (
        ("FLAME2020/generic_model.pkl", "flame2020"),
        ("generic_model.pkl", "flame2020"),
        ("flame 2023 Open/model.pkl", "flame2023"),
        ("FLAME2020/flame2023_no_jaw.pkl", "flame2023"),
        ("FLAME_2019/generic_model.pkl", None),
        ("model.pkl", None),
    ):
        file = tmp_path / "models" / name
        basis = np.zeros((100, VERTICES, 3))
        arguments = file, arrays["v_template"], arrays["f"], basis, np.zeros(VERTICES, np.uint8), None
        if version:
            assert recognise_version(*arguments) == (version, "file name")
        else:
            with pytest.raises(InputError, match="--version"):
                recognise_version(*arguments)


def test_missing_file_says_where_to_get_it(tmp_path: Path):
    for load in (load_flame, load_any_head):
        with pytest.raises(InputError, match=r"register at https://flame\.is\.tue\.mpg\.de"):
            load(tmp_path / "generic_model.pkl")


DEFECTS = {
    "no expressions": ("shapedirs", lambda a: a[..., :300]),
    "no shapes": ("shapedirs", lambda a: None),
    "other vertices": ("weights", lambda a: a[:-1]),
    "weights of one joint too few": ("weights", lambda a: a[:, :4]),
    "weights too large": ("weights", lambda a: a * 1.1),
    "weights move no eyes": ("weights", lambda a: np.eye(5)[np.zeros(len(a), int)]),
    "template with a hole": ("v_template", lambda a: np.where(np.arange(len(a))[:, None] == 3, np.nan, a)),
    "template of text": ("v_template", lambda a: a.astype(str)),
    "SMPL-X": ("v_template", lambda a: np.zeros((10475, 3))),
    "triangle beyond the end": ("f", lambda a: a + 1),
    "joints in a circle": ("kintree_table", lambda a: np.array([[-1, 2, 1, 1, 1], [0, 1, 2, 3, 4]])),
    "correctives missing": ("posedirs", lambda a: a[..., :27]),
}


@pytest.mark.parametrize("case", DEFECTS)
def test_defects_name_file_and_key(tmp_path: Path, arrays: dict[str, np.ndarray], case: str):
    key, change = DEFECTS[case]
    damaged = tmp_path / "flame2023.pkl"
    damaged.write_bytes(pickle.dumps(arrays | {key: change(arrays[key])}))
    with pytest.raises(InputError) as caught:
        load_flame(damaged)
    assert str(damaged) in str(caught.value)
    assert f"'{key}'" in str(caught.value) or case == "SMPL-X"


def test_defective_companions(path: Path, tmp_path: Path):
    write_eyelids(tmp_path)
    np.save(tmp_path / "r_eyelid.npy", np.zeros((10, 3)))
    with pytest.raises(InputError, match=r"r_eyelid\.npy"):
        load_flame(path, eyelids=tmp_path)
    with pytest.raises(InputError, match=r"l_eyelid\.npy: No such file"):
        load_flame(path, eyelids=tmp_path / "absent")
    (tmp_path / "masks.pkl").write_bytes(pickle.dumps({"scalp": np.array([VERTICES])}))
    with pytest.raises(InputError, match=r"masks\.pkl: part 'scalp'"):
        load_flame(path, masks=tmp_path / "masks.pkl")
    np.save(
        tmp_path / "landmarks.npy", np.array({"full_lmk_faces_idx": [[FACES] * 68], "full_lmk_bary_coords": np.eye(3)})
    )
    with pytest.raises(InputError, match=r"landmarks\.npy"):
        load_flame(path, landmarks=tmp_path / "landmarks.npy")
    np.save(tmp_path / "landmarks.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"landmarks\.npy"):
        load_flame(path, landmarks=tmp_path / "landmarks.npy")


def test_npz_that_unpacks_far_too_large(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "flame.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v_template.npy", bytes(250 << 20))
    with pytest.raises(InputError, match=r"flame\.npz unpacks"):
        load_flame(tmp_path / "flame.npz")

"""The native dataset: what is written is read back, and everything that can be wrong is said with its place."""

import json
import math

import pytest
import torch
from dataset_samples import CAMERA, IDS, SIZE, tiny_head

from rgb_core.data import DatasetWriter, load_dataset, write_ply
from rgb_core.errors import InputError
from rgb_core.heads import Pose
from rgb_core.images import rgba_to_linear, write_png

LIGHT = torch.ones(3, 4, 8)


def picture(seed):
    return torch.randint(0, 256, (SIZE[1], SIZE[0], 4), generator=torch.Generator().manual_seed(seed)).to(torch.uint8)


def labels():
    return torch.arange(SIZE[0] * SIZE[1]).view(SIZE[1], SIZE[0]).remainder(19).to(torch.uint8)


def start(folder, fps=25.0):
    return DatasetWriter(folder, "tiny", SIZE, fps, tiny_head(), extra={"seed": 7})


def add_frames(writer, ids=IDS):
    for index, name in enumerate(ids):
        pixels = () if writer.has_frame(name) else (picture(index), labels() if index < 2 else None)
        pose = Pose(torch.tensor([0.5, 0.25]), torch.full((2, 3), 0.1 * index), torch.tensor([0, 0, 0.01 * index]))
        writer.add_frame(name, "train" if index < 2 else "test", CAMERA, pose, *pixels)


@pytest.fixture
def folder(tmp_path):
    """A complete tiny dataset with ground truth for its test frame."""
    folder = tmp_path / "subject"
    writer = start(folder)
    add_frames(writer)
    writer.add_envmap("noon", LIGHT)
    writer.set_light(2 * LIGHT)
    normal = torch.cat([torch.tensor([0.6, 0.0, 0.8]).expand(12, 16, 3), torch.ones(12, 16, 1)], -1)
    normal[:, 8:, 3] = 0
    writer.add_truth(IDS[2], tiny_head().vertices, tiny_head().faces, picture(5), normal, {"noon": picture(6)})
    frame = {"expression": [1, 2, 3], "root": [0, 0, 1], "translation": [0, 0, 0]}
    writer.set_coefficients({"identity": [1.5], "pivot": [0, 1, 0], "frames": {IDS[0]: frame}})
    writer.finish()
    return folder


def test_what_is_written_is_read_back(folder):
    dataset = load_dataset(folder)
    assert (dataset.subject, dataset.width, dataset.height, dataset.fps) == ("tiny", 16, 12, 25.0)
    assert dataset.light_frame == "world"
    assert dataset.shape.shape == (0,)
    assert dataset.head.expression_names == ("smile", "frown")
    assert dataset.extra == {"seed": 7}
    assert [frame.id for frame in dataset.frames("train")] == ["00000", "00001"]
    frame = dataset.frames("test")[0]
    assert frame.id == "00002"
    assert frame.camera.intrinsics == CAMERA.intrinsics
    assert torch.equal(frame.camera.world_to_camera, CAMERA.world_to_camera)
    assert torch.equal(frame.pose.expression, torch.tensor([0.5, 0.25]))
    assert torch.equal(frame.pose.joints, torch.full((2, 3), 0.2))
    assert torch.equal(frame.pose.translation, torch.tensor([0, 0, 0.02]))
    assert torch.equal(dataset.load_rgba(frame), picture(2))
    assert dataset.semantic(frame) is None
    assert torch.equal(dataset.semantic(dataset.frame("00001")), labels())
    assert list(dataset.envmaps) == ["noon"]
    with pytest.raises(InputError, match="no split 'validation'"):
        dataset.frames("validation")
    with pytest.raises(InputError, match="no frame '9'"):
        dataset.frame("9")


def test_reduced_pictures_average_linear_premultiplied_light(folder):
    dataset = load_dataset(folder)
    frame = dataset.frames("train")[0]
    boxes = rgba_to_linear(picture(0)).view(6, 2, 8, 2, 4).mean((1, 3))
    reduced = dataset.image(frame, (8, 6))
    assert torch.allclose(reduced, boxes, atol=1e-6)
    # Bytes of straight sRGB: half a step of colour at full alpha, less light than that below.
    assert torch.allclose(rgba_to_linear(dataset.load_rgba(frame, (8, 6))), boxes, atol=0.006)
    assert dataset.semantic(frame, (8, 6)).shape == (6, 8)
    assert dataset.camera(frame, (8, 6)).intrinsics == (20.0, 20.0, 4.0, 3.0)
    with pytest.raises(InputError, match="16 x 12 pixels cannot be reduced to 32 x 24"):
        dataset.image(frame, (32, 24))


def test_ground_truth_is_read_back(folder):
    truth = load_dataset(folder).ground_truth
    assert truth.frame_ids == ("00002",)
    assert truth.relit_names == ("noon",)
    assert truth.relit_ids("noon") == ("00002",)
    assert torch.equal(truth.light().radiance, 2 * LIGHT)
    assert torch.equal(truth.mesh("00002")[0], tiny_head().vertices)
    assert torch.equal(truth.albedo("00002"), picture(5))
    assert torch.equal(truth.relit("noon", "00002"), picture(6))
    normal = truth.normal("00002", (8, 6))
    # Bytes hold a normal to 1 / 255.
    assert torch.allclose(normal[0, 0], torch.tensor([0.6, 0, 0.8, 1]), atol=0.005)
    assert normal[0, 7].tolist() == [0, 0, 0, 0]
    coefficients = truth.coefficients()
    assert coefficients.identity.tolist() == [1.5]
    assert coefficients.expression["00000"].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"mesh/00000\.ply"):
        truth.mesh("00000")
    with pytest.raises(InputError, match=r"relit/moon/00002\.png"):
        truth.relit("moon", "00002")
    (truth.folder / "coefficients.json").write_text('{"identity": [1], "pivot": [0, 0]}')
    with pytest.raises(InputError, match=r"coefficients\.json: frames is missing"):
        truth.coefficients()


def test_a_real_subject_has_no_ground_truth(tmp_path):
    writer = start(tmp_path / "a")
    add_frames(writer)
    assert writer.finish().ground_truth is None


def test_an_interrupted_run_continues_to_the_same_dataset(tmp_path, folder):
    again = tmp_path / "again"
    add_frames(start(again), IDS[:1])
    with pytest.raises(InputError, match="not a dataset"):
        load_dataset(again)
    first = (again / "images/00000.png").stat().st_mtime_ns
    writer = start(again)
    assert [writer.has_frame(name) for name in IDS] == [True, False, False]
    add_frames(writer)
    writer.finish()
    assert (again / "images/00000.png").stat().st_mtime_ns == first
    assert (again / "dataset.json").read_text() == (folder / "dataset.json").read_text()
    assert "semantic" in json.loads((again / "dataset.json").read_text())["frames"][0]


def test_the_writer_refuses_what_the_format_cannot_say(tmp_path):
    writer = start(tmp_path / "a")
    still = Pose.rest(2, 2)
    with pytest.raises(ValueError, match="no pixels"):
        writer.add_frame("0", "train", CAMERA, still)
    with pytest.raises(ValueError, match="expected 16 x 12"):
        writer.add_frame("0", "train", CAMERA, still, torch.zeros(5, 5, 4))
    with pytest.raises(InputError, match="cannot be a file name"):
        writer.add_frame("../0", "train", CAMERA, still, picture(0))
    add_frames(writer)
    with pytest.raises(InputError, match="added twice"):
        writer.add_frame("00000", "train", CAMERA, still, picture(0))


def test_an_invalid_dataset_stays_unfinished(tmp_path):
    writer = start(tmp_path / "a")
    writer.add_frame("0", "train", CAMERA, Pose.rest(3, 2), picture(0))
    with pytest.raises(InputError, match="expression"):
        writer.finish()
    assert not (tmp_path / "a/dataset.json").exists()


def scaled(factor):
    return [[factor * value for value in row[:3]] + row[3:] for row in CAMERA.world_to_camera.tolist()]


def change(**values):
    return lambda record, folder: record.update(values)


def change_frame(**values):
    return lambda record, folder: record["frames"][1].update(values)


def drop(key):
    return lambda record, folder: record.pop(key)


def drop_in_frame(key):
    return lambda record, folder: record["frames"][1].pop(key)


MIRRORED = [[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]]
OPENGL = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -1]]
MILLIMETRES = [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 930]]
SHEARED = [[1, 0.2, 0, 0], [0, -1, 0, 0], [0, 0, -1, 1]]
SINGULAR = [[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, -1, 1]]

MALFORMED = {
    "format": (change(format="nerf"), ["format", "nerf"]),
    "no format": (drop("format"), ["format is missing"]),
    "version": (change(version=2), ["version", "2 is unknown"]),
    "no subject": (drop("subject"), ["subject is missing"]),
    "width": (change(width=0), ["width", "positive integer"]),
    "endless width": (change(width=10**40), ["width", "positive integer"]),
    "fractional height": (change(height=12.5), ["height", "positive integer"]),
    "fps": (change(fps=-1), ["fps", "positive number"]),
    "infinite fps": (change(fps=math.inf), ["fps", "positive number", "inf"]),
    "light frame": (change(light_frame="head"), ["light_frame", "world, camera"]),
    "shape length": (change(shape=[1, 2]), ["shape", "[2]", "expected [1]"]),
    "shape type": (change(shape=0), ["shape must be a list"]),
    "no head model": (change(head_model="other.npz"), ["head_model", "other.npz", "does not exist"]),
    "no frames": (change(frames=[]), ["frames is empty"]),
    "frames type": (change(frames={}), ["frames must be a list"]),
    "frame type": (change(frames=[3]), ["frame number 0", "must be a JSON object"]),
    "split type": (change(splits=[]), ["splits must be a JSON object"]),
    "no train": (change(splits={"test": ["00000"]}), ["splits", "train is empty"]),
    "empty train": (change(splits={"train": []}), ["splits", "train is empty"]),
    "unknown id in split": (change(splits={"train": ["00009"]}), ["train", "'00009'", "does not exist"]),
    "number in split": (change(splits={"train": [0]}), ["train", "0", "does not exist"]),
    "repeated id in split": (change(splits={"train": ["00000", "00000"]}), ["train", "more than once"]),
    "repeated id": (change_frame(id="00000"), ["'00000' more than once"]),
    "numeric id": (change_frame(id=1), ["frame 1", "id", "string"]),
    "id that is a path": (change_frame(id="../1"), ["frame ../1", "id", "file name"]),
    "no image": (drop_in_frame("image"), ["00001", "image is missing"]),
    "image file": (change_frame(image="images/9.png"), ["00001", "image", "9.png", "does not exist"]),
    "semantic file": (change_frame(semantic="semantic/9.png"), ["00001", "semantic", "9.png"]),
    "short expression": (change_frame(expression=[1]), ["00001", "expression", "[1]", "expected [2]"]),
    "text in expression": (change_frame(expression=["a", "b"]), ["00001", "expression", "must be numbers"]),
    "ragged joints": (change_frame(joints=[[0, 0, 0], [0, 0]]), ["00001", "joints", "must be numbers"]),
    "few joints": (change_frame(joints=[[0, 0, 0]]), ["00001", "joints", "expected [2, 3]"]),
    "NaN": (change_frame(translation=[0, math.nan, 0]), ["00001", "translation", "not finite"]),
    "overflow": (change_frame(translation=[0, 10**400, 0]), ["00001", "translation"]),
    "short K": (change_frame(K=[1, 1, 1]), ["00001", "K", "expected [4]"]),
    "negative focal length": (change_frame(K=[-40, 40, 8, 6]), ["00001", "K", "positive focal"]),
    "w2c 4x4": (change_frame(w2c=[*MIRRORED, [0, 0, 0, 1]]), ["00001", "w2c", "expected [3, 4]"]),
    "singular w2c": (change_frame(w2c=SINGULAR), ["00001", "w2c", "not invertible"]),
    "sheared w2c": (change_frame(w2c=SHEARED), ["00001", "w2c", "not orthonormal"]),
    "scaled w2c": (change_frame(w2c=scaled(4.0)), ["00001", "w2c", "scales by 4"]),
    "mirrored w2c": (change_frame(w2c=MIRRORED), ["00001", "w2c", "mirrors an axis"]),
    "millimetres": (change_frame(w2c=MILLIMETRES), ["00001", "w2c", "930 m", "metres"]),
    "OpenGL axes": (change_frame(w2c=OPENGL), ["00001", "w2c", "behind the camera"]),
    "image size": (
        lambda record, folder: write_png(folder / "images/00001.png", torch.zeros(8, 8, 4)),
        ["00001.png", "8 x 8 pixels, expected 16 x 12"],
    ),
    "image mode": (
        lambda record, folder: write_png(folder / "images/00001.png", torch.zeros(12, 16, 3)),
        ["00001.png", "RGB, expected RGBA"],
    ),
    "semantic mode": (
        lambda record, folder: write_png(folder / "semantic/00001.png", torch.zeros(12, 16, 3)),
        ["semantic/00001.png", "RGB, expected grey"],
    ),
    "no PNG": (lambda record, folder: (folder / "images/00001.png").write_text("x"), ["00001.png", "not a PNG"]),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_datasets_are_one_sentence_with_the_place(folder, kind):
    damage, says = MALFORMED[kind]
    path = folder / "dataset.json"
    record = json.loads(path.read_text())
    damage(record, folder)
    path.write_text(json.dumps(record))
    with pytest.raises(InputError) as caught:
        load_dataset(folder)
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    for part in says:
        assert part in message


def test_folders_that_are_no_dataset(tmp_path):
    with pytest.raises(InputError, match="is not a folder"):
        load_dataset(tmp_path / "missing")
    with pytest.raises(InputError, match="is empty"):
        load_dataset(tmp_path)
    write_ply(tmp_path / "a.ply", tiny_head().vertices, tiny_head().faces)
    with pytest.raises(InputError, match=r"it has no dataset\.json"):
        load_dataset(tmp_path)
    for text, says in [("{", "not valid JSON"), ("[]", "JSON object, not a list"), ("[" * 99999, "not valid JSON")]:
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(InputError, match=says):
            load_dataset(tmp_path)
    (tmp_path / "dataset.json").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read"):
        load_dataset(tmp_path)


def test_a_picture_cut_short_is_found_when_it_is_read(folder):
    path = folder / "images/00001.png"
    path.write_bytes(path.read_bytes()[:200])
    dataset = load_dataset(folder)
    with pytest.raises(InputError, match=r"00001\.png is a truncated or corrupt PNG"):
        dataset.image(dataset.frame("00001"))


def test_unknown_keys_are_kept_and_ignored(folder):
    path = folder / "dataset.json"
    record = json.loads(path.read_text())
    record |= {"note": ["x"], "ground_truth_frames": []}
    record["frames"][0]["blur"] = 0.5
    path.write_text(json.dumps(record))
    dataset = load_dataset(folder)
    assert dataset.extra == {"seed": 7, "note": ["x"], "ground_truth_frames": []}
    assert dataset.frame("00000").extra == {"blur": 0.5}


def test_identity_coefficients_are_read_where_there_are_some(folder):
    path = folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shape": [0.5]}))
    assert load_dataset(folder).shape.tolist() == [0.5]

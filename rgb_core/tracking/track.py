"""`rgb track`: a video becomes a native dataset; stages are kept until it is whole, so that runs continue."""

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data import TORSO_KEPT, Dataset, DatasetWriter, load_dataset
from ..data.records import read_json
from ..errors import InputError
from ..files import write_text
from ..fingerprints import files_in, fingerprint
from ..heads import HeadModel, Pose, with_shoulders
from ..output_folder import OutputFolder
from ..progress import Progress
from ..tensor_files import read_tensors, write_tensors
from . import landmarks, quality
from .detect.correspondence import Correspondence, find_correspondence
from .detect.detection import Detections, Span, detect
from .detect.detector import FaceDetector, start_detector
from .detect.faces import Person, follow_person
from .detect.video import open_video
from .detect.video_stream import Video
from .looks import FrameLook, summarise
from .picture.crop import crop_around
from .picture.labels import Parser
from .picture.parsing import ParsingNetwork
from .picture.preview import write_preview
from .picture.views import Views, outline
from .solve.clip import TrackedClip
from .solve.fitting import fit_clip
from .solve.observations import Observations
from .solve.photometric import Windows
from .verdict import verdict
from .writing import FrameWriter

QUALITY_FILE, PREVIEW_FILE = "quality.json", "preview.mp4"
_WORK = ".tracking"  # folder of what the stages leave each other, gone when the dataset is whole
_TEST_SHARE = 0.2
_OUTLINES = 60  # frames, spread over the clip, that the crop has to hold
_MOST_FRAMES = 2000  # of one fit, about 1 GB
_VERSION = 3  # changes when what the work folder holds changes


@dataclass(frozen=True)
class TrackingOptions:
    """What a user can choose."""

    start: float = 0.0
    """Second of the video to begin at."""
    end: float | None = None
    """Second of the video to end at; None is its end."""
    stride: int = 1
    """Take every so many-th frame."""
    size: int = 512
    """Longer side of the pictures at most, pixels."""
    focal: float | None = None
    """Focal length in pixels of the video, where known."""
    preview: bool = False
    """Whether to write a video of what was found."""
    fps: float | None = None
    """Frames per second of a folder of pictures."""
    parsing: Path | None = None
    """ONNX file of a face-parsing network."""
    keep_torso: bool = False
    """Model neck, shoulders and clothes as they are, in place of cutting clothes out."""


@dataclass(frozen=True)
class Tracked:
    """A dataset and the record of `quality.json`."""

    dataset: Dataset
    quality: dict[str, Any]


def track(
    path: Path,
    out: Path,
    head: HeadModel,
    progress: Progress,
    options: TrackingOptions | None = None,
    detector: FaceDetector | None = None,
    force: bool = False,
) -> Tracked:
    """Track the head in a video and write the dataset `out`; an interrupted run continues.

    Args:
        detector: what finds faces; None starts mediapipe in a process of its own.
        force: replace what another video or other options left in `out`.

    Raises:
        InputError: when the video, the folder or the detector cannot be used.
    """
    options = options or TrackingOptions()
    head = with_shoulders(head) if options.keep_torso else head
    out = Path(out)
    video = open_video(path, options.fps)
    for note in video.notes:
        progress.message(note)
    span = _span(video, options)
    with OutputFolder.claim(out, "dataset", _fingerprint(video, head, options), force) as folder:
        if folder.finished:
            progress.message(f"{out} holds the finished dataset of the same video and options")
            return Tracked(load_dataset(out), read_json(out / QUALITY_FILE))
        if detector is not None:
            tracked = _track(video, span, out, head, progress, options, detector)
        else:
            with start_detector(progress) as started:
                tracked = _track(video, span, out, head, progress, options, started)
        folder.finish()
    return tracked


def _track(
    video: Video, span: Span, out: Path, head: HeadModel, progress: Progress, options: TrackingOptions,
    detector: FaceDetector,
) -> Tracked:  # fmt: skip
    work = out / _WORK
    network = None if options.parsing is None else ParsingNetwork(options.parsing)
    found = detect(video, span, detector, work, progress)
    try:
        person = _thinned(follow_person(found.faces, found.numbers, video.size), progress)
    except InputError:  # the wrong video: its faces must not keep the folder from the right one
        shutil.rmtree(work)
        raise
    _tell(person, found, progress)
    numbers = [found.numbers[row] for row in person.rows.tolist()]
    observed = Observations(person.points, torch.tensor(numbers), video.fps, video.size)
    correspondence = _correspondence(head, detector, work)
    clip = _clip(work / "clip.safetensors", head, correspondence, observed, video, progress, options.focal)
    rows = torch.linspace(0, len(numbers) - 1, min(_OUTLINES, len(numbers))).round().long().unique().tolist()
    crop = crop_around(outline(head, clip, video.size, rows, options.keep_torso), video.size, options.size)
    views = Views(head, clip, crop, crop.camera(clip.focal, video.size, clip.world_to_camera))
    parser = Parser(head, correspondence, network, options.keep_torso)
    frames = FrameWriter(video, numbers, views, parser, detector)
    frames.learn_colours(progress)
    source = {"video": video.path.name, "crop": crop.window, "video_size": video.size, "stride": options.stride}
    if options.keep_torso:
        source[TORSO_KEPT] = True
    writer = DatasetWriter(
        out,
        video.path.stem,
        crop.size,
        video.fps / options.stride,
        head,
        "world",
        clip.shape.tolist(),
        {"source": source},
    )
    looks = frames.write(writer, len(numbers) - int(_TEST_SHARE * len(numbers)), progress)
    record = _quality(found, person, observed, views, looks)
    dataset = writer.finish()
    write_text(out / QUALITY_FILE, json.dumps(record, indent=1))
    if options.preview:
        write_preview(out / PREVIEW_FILE, video, dataset, views, person.points, progress)
    shutil.rmtree(work)
    return Tracked(dataset, record)


def _span(video: Video, options: TrackingOptions) -> Span:
    """The frames between the seconds of the options."""
    end = None if options.end is None else round(options.end * video.fps)
    span = Span(round(options.start * video.fps), end, options.stride)
    if end is not None and end <= span.start:
        raise InputError(f"--end {options.end:g} s does not come after --start {options.start:g} s")
    return span


def _fingerprint(video: Video, head: HeadModel, options: TrackingOptions) -> str:
    """What the dataset of a video depends on; the same file under another name counts as the same."""
    return fingerprint(
        version=_VERSION,
        video=files_in(video.path) if video.path.is_dir() else video.path,
        head=head.parts(),
        options=dataclasses.asdict(options),
    )


def _thinned(person: Person, progress: Progress) -> Person:
    """Every second, third, ... frame of a clip that is too long for one fit in bounded memory."""
    every = -(-len(person.rows) // _MOST_FRAMES)
    if every <= 1:
        return person
    progress.message(f"{len(person.rows)} frames are more than one fit takes: every {every}th is used (see --stride)")
    return dataclasses.replace(person, rows=person.rows[::every], points=person.points[::every])


def _tell(person: Person, found: Detections, progress: Progress) -> None:
    """Say what the user did not ask for."""
    if person.others:
        progress.message(
            f"{person.others} of {len(found.faces)} frames show more than one face: the largest is tracked"
        )
    for reason, what in quality.dropped(person.dropped).items():
        progress.message(f"left out {what['frames']} frames ({reason}): {what['which']}")


def _correspondence(head: HeadModel, detector: FaceDetector, work: Path) -> Correspondence:
    """The landmarks on the head, from the work folder where an earlier run found them."""
    path = work / "correspondence.safetensors"
    tensors = _load(path)
    if tensors is None:
        tensors = vars(find_correspondence(head, detector))
        write_tensors(path, tensors)
    return Correspondence(**tensors)


def _clip(
    path: Path, head: HeadModel, correspondence: Correspondence, observed: Observations, video: Video,
    progress: Progress, focal: float | None,
) -> TrackedClip:  # fmt: skip
    """The fit, from the work folder where an earlier run finished it."""
    tensors = _load(path)
    if tensors is None:
        windows = Windows(video, observed, progress)
        clip = fit_clip(head, correspondence, observed, progress, focal, windows)
        fields = {name: value for name, value in vars(clip).items() if isinstance(value, Tensor)}
        write_tensors(path, {**fields, **vars(clip.pose), "focal": torch.tensor(clip.focal, dtype=torch.float64)})
        return clip
    pose = Pose(*(tensors.pop(name) for name in ("expression", "joints", "translation")))
    return TrackedClip(**{**tensors, "pose": pose, "focal": float(tensors["focal"])})


def _load(path: Path) -> dict[str, Any] | None:
    return read_tensors(path, f"delete {path.parent} to start again")[0] if path.exists() else None


def _quality(
    found: Detections, person: Person, observed: Observations, views: Views, looks: list[FrameLook]
) -> dict[str, Any]:
    """The record of quality.json; landmark errors are pixels of the pictures."""
    clip, crop = views.clip, views.crop
    known = observed.known()
    seen = crop.points(observed.points[known][..., :2].double())
    visible = ((seen >= 0) & (seen < torch.tensor(crop.size))).all(-1)
    values = torch.tensor([look.overlap for look in looks])
    sizes = landmarks.face_sizes(observed.points[known])
    expressions = views.head.expression_names
    skull = views.skull()
    record = {
        "format": "rgb-tracking-quality",
        "version": 2,
        "frames": {"decoded": len(found.numbers), "kept": len(looks), "bridged": int((~known).sum())},
        "dropped": quality.dropped(person.dropped),
        "frames_with_other_faces": person.others,
        "landmark_error_px": quality.landmark_errors(crop.points(clip.projected[known]), seen, visible),
        "face_overlap": {"mean": float(values.nanmean()), "least": float(values.nan_to_num(1).min())},
        "jitter": quality.jitter(*skull, clip.pose.expression, observed.times),
        "coverage": quality.coverage(skull[0]),
        "fps": observed.fps / _step(observed.times),
        "focal_px": views.camera.intrinsics[0],
        "picture_size": crop.size,
        "face_size_px": float(sizes.median()),
        "face_size_in_pictures_px": float(sizes.median()) * crop.size[0] / crop.window[2],
        "mouth_opens": quality.mouth_opens(clip.pose.expression, expressions),
        "pictures": summarise(looks, skull[0][:, :, 2]),
    }
    return {"verdict": [finding._asdict() for finding in verdict(record)], **record}


def _step(times: Tensor) -> int:
    """The usual distance of frame numbers [N]."""
    return int(times.diff().min()) if len(times) > 1 else 1

"""`rgb animate`: the avatar driven by somebody's performance."""

from typing import TYPE_CHECKING

from ..drive_options import Drive, DriveFrames, Driving, End, NoClamp, NoNeutral, NoSmooth, Smooth, Start, driven
from ..film_options import FilmOptions, make_film, with_film_options
from ..options import AvatarFolder, Out

if TYPE_CHECKING:
    from rgb_core.avatar import Avatar
    from rgb_core.rendering import Shot


@with_film_options
def animate(
    avatar: AvatarFolder,
    drive: Drive,
    out: Out,
    film: FilmOptions,
    frames: DriveFrames = None,
    start: Start = 0.0,
    end: End = None,
    no_neutral: NoNeutral = False,
    no_clamp: NoClamp = False,
    smooth: Smooth = None,
    no_smooth: NoSmooth = False,
) -> None:
    """Drive an avatar by a tracked clip, a recording of a phone, coefficients, keyframes or a video.

    ARKit names carry over between head models; unnamed expressions go by least squares on vertices. The performer's
    face at rest becomes the avatar's, noise is smoothed, and expressions stay in the range the avatar was fitted to.

    Example: rgb animate avatar --drive other_subject -o animated

    Example: rgb animate avatar --drive MySlate_5_iPhone.csv -e studio --background map --sheet -o studio

    Example: rgb animate avatar --drive clip.mp4 --end 4 -o quick --size 256 --device cpu --force --quiet --json

    Example: rgb animate avatar --drive take.json --no-neutral --no-clamp --no-smooth --no-visibility -o raw
    """
    driving = Driving(drive, frames, start, end, no_neutral, no_clamp, smooth, no_smooth)

    def motion(model: "Avatar") -> "tuple[list[Shot], float]":
        return driven(model, driving, out, film)

    make_film(avatar, out, film, motion, "animated")

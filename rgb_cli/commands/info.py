"""`rgb info`: what an avatar is."""

from ..console import Reporter
from ..options import AvatarFolder, Json


def info(avatar: AvatarFolder, as_json: Json = False) -> None:
    """Say what an avatar holds, how it was made and how good it was.

    Example: rgb info demo/avatar
    """
    from rgb_core.exporting.summary import summary

    Reporter(as_json=as_json).result(str(avatar), summary(avatar))

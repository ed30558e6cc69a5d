"""The exceptions a user can cause: raised where the cause is known, printed once by the command line."""

import difflib
import re
from collections.abc import Iterable

_LONGEST = 1000
"""Characters of a message that a terminal shows well; a sentence about a long path has some 300."""


def printable(text: str, longest: int = _LONGEST) -> str:
    """`text` on one line that a terminal can show as it stands.

    Names and values from files may hold line breaks, escape sequences, marks that turn the writing direction, or far
    too much: breaks become spaces, other unprintable characters their escapes, and the middle of a long text is left
    out.
    """
    line = re.sub(r"\s+", " ", text).strip()
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in line[: 2 * longest]
    )
    if len(line) <= 2 * longest and len(shown) <= longest:
        return shown
    half = longest // 2
    ending = "".join(letter if letter.isprintable() else "?" for letter in line[-half:])
    return f"{shown[:half]} [... {len(line) - longest:,} more characters ...] {ending}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What is in brackets after a `name` that does not exist: the nearest of the `known` ones, or nothing."""
    nearest = difflib.get_close_matches(name[:_LONGEST], known, n=1)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


class RgbError(Exception):
    """One sentence that says what is wrong and what to do; the command ends with exit code 2.

    The sentence is made `printable`, so that whoever raises it may quote what a file says.
    """

    def __init__(self, sentence: str):
        super().__init__(printable(sentence))


class InputError(RgbError):
    """A file, folder or argument the user gave cannot be used."""


class InputWarning(UserWarning):
    """Something about a file that the user should know, though it can be used."""


class DivergenceError(RgbError):
    """An optimisation produced a non-finite value; the last good checkpoint is kept."""

"""Which frames of a clip a command takes."""


def parse_range(text: str | None, count: int) -> range:
    """`0:100` or `0:100:2` of `count` frames; everything where None.

    Raises:
        InputError: when it is not a range or selects no frame.
    """
    from rgb_core.errors import InputError

    try:
        parts = [int(part) if part else None for part in text.split(":")] if text else [None]
        chosen = range(count)[slice(*parts)] if len(parts) > 1 or parts[0] is None else range(count)[parts[0] :][:1]
    except (ValueError, TypeError) as error:
        raise InputError(f"--frames {text} is not a range such as 0:100 or 0:100:2") from error
    if not len(chosen):
        raise InputError(f"--frames {text} selects none of the {count} frames")
    return chosen

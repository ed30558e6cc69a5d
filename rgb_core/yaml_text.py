"""YAML that is data and nothing else: no tags, no aliases, and no more of it than settings need."""

from typing import Any

import yaml

from .errors import InputError

_LARGEST = 1 << 20  # characters
_MOST_NODES = 10_000  # the description of an avatar has some 2,000; keys that share a hash cost their square
_DEEPEST = 32


def parse_yaml(text: str, source: str) -> Any:
    """The value of one YAML document; `source` begins the error message.

    Raises:
        InputError: when it is no YAML, holds tags or aliases, or is too large or too deep.
    """
    if len(text) > _LARGEST:
        raise InputError(f"{source} has {len(text):,} characters of YAML, more than {_LARGEST:,}")
    try:
        if problem := _problem(text):
            raise InputError(f"{source} is not valid YAML for settings: {problem}")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{source} is not valid YAML: {error}") from error


def parse_setting(text: str, source: str) -> Any:
    """The value after `KEY=`: a number, a word or a list in brackets.

    Raises:
        InputError: as `parse_yaml`, or when it is a block or a mapping.
    """
    value = parse_yaml(text, source)
    if "\n" in text or isinstance(value, dict):
        raise InputError(f"{source} is no single value; give a number, a word or a list such as [a, b]")
    return value


def _problem(text: str) -> str | None:
    """What the document has that settings never do, found before anything is built from it."""
    nodes = depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            return "it has an alias"
        if (tag := getattr(event, "tag", None)) not in (None, "!"):
            return f"it has the tag {tag}"
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if nodes > _MOST_NODES:
            return f"it has more than {_MOST_NODES:,} values"
        if depth > _DEEPEST:
            return f"it nests more than {_DEEPEST} deep"
    return None

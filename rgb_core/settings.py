"""What all settings have in common: a key that nobody knows is refused, and nothing changes once it is read."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base of every record that people write: presets, and the tables of batches.

    A field is described by `Field(description=...)` or by the string below it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

"""The exceptions a user can cause: raised where the cause is known, printed once by the command line."""


class RgbError(Exception):
    """One sentence that says what is wrong and what to do; the command ends with exit code 2."""


class InputError(RgbError):
    """A file, folder or argument the user gave cannot be used."""


class DivergenceError(RgbError):
    """An optimisation produced a non-finite value; the last good checkpoint is kept."""

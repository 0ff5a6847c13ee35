"""A refusal: one clear message about bad input, instead of a stack trace or a guess."""

from pathlib import Path


class Refusal(ValueError):
    """Bad input, named so that it can be mended.

    Parameters
    ----------
    where : str | Path
        path, row or recipe that is at fault
    field : str
        the field, band or column of it
    found : object
        what stands there, and what should
    expected : str
        what stands there, and what should
    mend : str
        what the user can do about it

    Examples
    --------
    >>> print(Refusal("tileset.yaml", "gsd_m", found=-10, expected="a positive number", mend="write gsd_m: 10.0"))
    tileset.yaml: gsd_m: found -10, expected a positive number. Mend: write gsd_m: 10.0
    """

    def __init__(self, where: str | Path, field: str, found: object, expected: str, mend: str) -> None:
        self.where, self.field, self.found, self.expected, self.mend = str(where), field, found, expected, mend
        super().__init__(f"{where}: {field}: found {found}, expected {expected}. Mend: {mend}")

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str, str]]:
        """So that it also crosses from a worker process."""
        return Refusal, (self.where, self.field, str(self.found), self.expected, self.mend)


def last_line(error: BaseException) -> str:
    """The cause of an error, short."""
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[-160:] or type(error).__name__

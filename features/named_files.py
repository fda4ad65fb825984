"""Files that a person names: what is wrong with one is said with its path and the next step."""

from __future__ import annotations

from pathlib import Path

from features.errors import ZhongcaoError


def require_file(path: Path, what: str, error: type[ZhongcaoError], next_step: str) -> None:
    """Refuse a path where no file is.

    Parameters
    ----------
    path
        As the person named it.
    what
        What it should hold, such as ``mapping``.
    error
        Type of the error.
    next_step
        What to do where it is missing.

    Examples
    --------
    >>> from features.errors import MappingError
    >>> require_file(Path("shop.tml"), "mapping", MappingError, "check the path")
    Traceback (most recent call last):
    features.errors.MappingError: there is no such mapping file: 'shop.tml'; check the path
    """
    if path.is_dir():
        raise error(f"the path of the {what} file is a folder", value=str(path), next_step="name a file in it")
    if not path.is_file():
        raise error(f"there is no such {what} file", value=str(path), next_step=next_step)


def read_named(path: Path, what: str, error: type[ZhongcaoError], next_step: str) -> str:
    """Return the text of a UTF-8 file; parameters as of `require_file`.

    Raises
    ------
    ZhongcaoError
        Of the type `error`: the file is missing, closed to us, or not UTF-8.
    """
    require_file(path, what, error, next_step)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as cause:
        problem, mend = f"the {what} file is not text in UTF-8", "name the right file, or save it as UTF-8"
        raise error(problem, value=str(path), next_step=mend) from cause
    except OSError as cause:
        problem = f"the {what} file cannot be read ({reason_of(cause)})"
        raise error(problem, value=str(path), next_step="check who may read it") from cause


def require_new(path: Path, error: type[ZhongcaoError]) -> None:
    """Refuse a path that cannot be written to as a new file.

    Raises
    ------
    ZhongcaoError
        Of the type `error`: the file exists already, or its folder does not.
    """
    if path.exists():
        raise error("the file exists already", value=str(path), next_step="name another one with --out")
    if not path.parent.is_dir():
        raise error("there is no such folder to write to", value=str(path.parent), next_step="make it first")


def reason_of(error: BaseException) -> str:
    """Return the reason of a failed read, without the number and the path that Python puts into it.

    Examples
    --------
    >>> reason_of(PermissionError(13, "Permission denied", "orders.csv")), reason_of(EOFError("cut short"))
    ('Permission denied', 'cut short')
    """
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

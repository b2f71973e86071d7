"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from pathlib import Path


def write_atomic(path: Path | str, data: bytes, *, exclusive: bool = False) -> None:
    """Write `data` to a temporary file beside `path`, flush it to disk, and rename it.

    Parameters
    ----------
    path : pathlib.Path or str
        Its folder has to exist.
    data : bytes
    exclusive : bool
        Whether a file that is there is kept: of two processes that make it, one succeeds.

    Raises
    ------
    FileExistsError
        There is a file, and `exclusive` was asked for.
    OSError
        The file cannot be written; the error names it, and no temporary file is left behind.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomic(Path(folder) / "result.json", b"{}")
    ...     os.listdir(folder)
    ['result.json']
    """
    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files for the owner alone
            if exclusive:
                os.link(temporary, path)  # which, other than a renaming, never replaces a file
            else:
                os.replace(temporary, path)
        finally:
            with contextlib.suppress(FileNotFoundError):  # renamed
                os.unlink(temporary)
    except OSError as error:  # of a full disk, say, which names no file, or the temporary one
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def remove_temporaries(path: Path, *, older_than: float = 0.0) -> None:
    """Remove what `write_atomic` left beside `path` when it was killed.

    Parameters
    ----------
    path : pathlib.Path
        The file that was to be written.
    older_than : float
        Seconds; a younger file may belong to a process that is still at it.
    """
    for temporary in path.parent.glob(f"{_prefix(path)}*"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if time.time() - temporary.stat().st_mtime >= older_than:
                temporary.unlink()


def _prefix(path: Path) -> str:
    return f".{path.name}."


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""MNIST: the four standard IDX files, read, checked, and downloaded when they are nowhere.

An IDX file is a header of big-endian 32-bit integers, the magic number 2048 + rank and then
the sizes, followed by unsigned bytes in C order. What is read is compared with the sha256 of
the original, so that a damaged file is noticed before it is learnt from.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import queue
import struct
import sys
import threading
import urllib.request
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.files import remove_temporaries, write_atomic
from stnref.validation import expect_choice

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
)
"""Where the files are to be had, tried in this order."""

TIMEOUT = 30.0
"""Seconds to wait for the next bytes of a mirror."""

DEADLINE = 600.0
"""Seconds that a mirror has for a file."""


class IdxFile(NamedTuple):
    """A file of the data set: its name, and the sha256 of its content and of its .gz form."""

    name: str
    shape: tuple[int, ...]
    sha256: str
    sha256_gz: str

    @property
    def header(self) -> bytes:
        """What the content begins with."""
        return struct.pack(f">{1 + len(self.shape)}i", 2048 + len(self.shape), *self.shape)

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return len(self.header) + math.prod(self.shape)

    @property
    def most(self) -> int:
        """Bytes that nobody exceeds who sends it, packed or not: nothing gets longer by much."""
        return self.size + self.size // 100 + 1024


FILES = {
    "train": (
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
    ),
    "test": (
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
}
"""Images and labels of each split."""


def load_mnist(
    split: str, *, data_dir: Path | str | None = None, download: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Read one split of MNIST.

    The files, ``.gz`` or unpacked, are looked for in `data_dir`, or else in the folder that the
    environment variable STNREF_DATA_DIR names, and then in the user's cache (``stnref/mnist``
    below XDG_CACHE_HOME or ``~/.cache``). A file that is in none of them is downloaded into the
    first.

    Parameters
    ----------
    split : "train" or "test"
    data_dir : pathlib.Path or str, optional
    download : bool
        Whether a missing file may be downloaded.

    Returns
    -------
    images : (N, 28, 28, 1)
        Grey values from 0 to 1, float32; N is 60,000 or 10,000.
    labels : (N,)

    Raises
    ------
    ValueError
        The split is unknown, or a file is truncated, corrupted, or not the original.
    FileNotFoundError
        A file is missing and may not be downloaded.
    OSError
        A file cannot be read, or no mirror gave it.
    """
    expect_choice("split", split, FILES)
    folders = _folders(data_dir)
    images, labels = (_read(_find(file, folders, download), file) for file in FILES[split])
    return images[..., None].astype(np.float32) / np.float32(255), labels.astype(np.intp)


def _folders(data_dir: Path | str | None) -> list[Path]:
    """Return where to look, in this order; the first is where to download to."""
    named = data_dir or os.environ.get("STNREF_DATA_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stnref" / "mnist"
    return [Path(named), cache] if named else [cache]


def _find(file: IdxFile, folders: list[Path], download: bool) -> Path:
    for folder in folders:
        for name in (f"{file.name}.gz", file.name):
            if (folder / name).exists():
                return folder / name
    if not download:
        looked = " or ".join(str(folder) for folder in folders)
        raise FileNotFoundError(f"{file.name}: expected it or its .gz in {looked}, got neither")
    return _download(file, folders[0])


def _read(path: Path, file: IdxFile) -> NDArray[np.uint8]:
    """Return the array in an IDX file after every check of it."""
    if not path.is_file():
        raise _damaged(path, "a regular file", "another kind of one")
    with path.open("rb") as stream:
        data = stream.read(file.most)
    if path.suffix == ".gz":
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(file.size + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(path, "a whole gzip file", f"a damaged one ({error})") from error
    if data[: len(file.header)] != file.header[: len(data)]:
        got = f"one that begins with {data[: len(file.header)].hex(' ', 4)}"
        raise _damaged(path, f"an IDX file of shape {file.shape}", got)
    if len(data) != file.size:
        got = f"{len(data)}" if len(data) < file.size else "more"
        raise _damaged(path, f"{file.size} bytes of IDX data", got)
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise _damaged(path, f"data with sha256 {file.sha256}", digest)
    return np.frombuffer(data, dtype=np.uint8, offset=len(file.header)).reshape(file.shape)


def _damaged(path: Path, expected: str, got: str) -> ValueError:
    return ValueError(f"{path}: expected {expected}, got {got}; delete it to download it again")


def _download(file: IdxFile, folder: Path) -> Path:
    """Fetch the .gz from the first mirror that gives the right one; return where it is now."""
    path = folder / f"{file.name}.gz"
    remove_temporaries(path, older_than=DEADLINE)
    failures = []
    for mirror in MIRRORS:
        print(f"downloading {mirror}{path.name} to {folder}", file=sys.stderr, flush=True)
        try:
            data = _fetch(mirror + path.name, file.most)
        except OSError as error:
            failures.append(str(error))
            continue
        digest = hashlib.sha256(data).hexdigest()
        if digest == file.sha256_gz:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, data)
            return path
        failures.append(f"another file, of {len(data)} bytes and sha256 {digest}")
    got = "; ".join(dict.fromkeys(failures))  # without a network every mirror fails alike
    raise OSError(f"{path.name}: expected a mirror to give it, got {got}")


def _fetch(address: str, most: int) -> bytes:
    """Return the first `most` bytes from there, unless it takes longer than `DEADLINE`.

    A mirror that sends a byte now and then never runs into a time-out, in its headers nor in the
    body. So a thread of its own waits for it, and is left to itself after that time.
    """
    results: queue.SimpleQueue[bytes | str] = queue.SimpleQueue()

    def fetch() -> None:
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT) as response:
                data = response.read(most)
            results.put(data)
        except Exception as error:  # whatever it is, it is told where it was waited for
            results.put(str(error) or type(error).__name__)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        result = results.get(timeout=DEADLINE)
    except queue.Empty:
        raise TimeoutError(f"no whole file in {DEADLINE:g} s") from None
    if isinstance(result, str):
        raise OSError(result)
    return result

"""MNIST is found, read, checked and downloaded; a damaged file is named. No network but loopback.

The files are small ones of our own making, in the place of the originals' names and digests.
"""

import contextlib
import gzip
import hashlib
import http.server
import os
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stnref.data import load_mnist, mnist

COUNT, ROWS, COLUMNS = 5, 4, 3
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, ROWS, COLUMNS), dtype=np.uint8)
LABELS = np.array([7, 0, 9, 9, 1], dtype=np.uint8)


def _idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}i", 2048 + array.ndim, *array.shape) + array.tobytes()


CONTENT = {"images": _idx(IMAGES), "labels": _idx(LABELS)}
PACKED = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in CONTENT.items()}


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put our files in the place of the originals, and the cache into a folder of the test."""
    files = tuple(
        mnist.IdxFile(
            name,
            array.shape,
            hashlib.sha256(CONTENT[name]).hexdigest(),
            hashlib.sha256(PACKED[f"{name}.gz"]).hexdigest(),
        )
        for name, array in (("images", IMAGES), ("labels", LABELS))
    )
    monkeypatch.setattr(mnist, "FILES", {"train": files, "test": files})
    monkeypatch.setattr(mnist, "MIRRORS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STNREF_DATA_DIR", raising=False)


def _fill(folder: Path, contents: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


def _expect_ours(images: np.ndarray, labels: np.ndarray) -> None:
    assert images.dtype == np.float32
    assert labels.dtype == np.intp
    np.testing.assert_array_equal(images, IMAGES[..., None].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels, LABELS)


# ------------------------------------------------------------------------------ reading


@pytest.mark.parametrize("contents", [CONTENT, PACKED], ids=["unpacked", "gz"])
def test_files_in_a_folder(contents: dict[str, bytes], tmp_path: Path) -> None:
    _expect_ours(*load_mnist("train", data_dir=_fill(tmp_path / "here", contents)))


def test_a_folder_as_text_and_a_gz_packed_anew(tmp_path: Path) -> None:
    """What counts is the content: another program's gzip gives other bytes."""
    anew = {name: gzip.compress(CONTENT[name[:-3]], compresslevel=1, mtime=9) for name in PACKED}
    _expect_ours(*load_mnist("test", data_dir=str(_fill(tmp_path / "here", anew))))


def test_the_argument_goes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = dict.fromkeys(CONTENT, b"no IDX file")
    cache = tmp_path / "cache" / "stnref" / "mnist"
    _fill(cache, PACKED)
    _expect_ours(*load_mnist("train"))
    monkeypatch.setenv("STNREF_DATA_DIR", str(tmp_path / "named"))
    _expect_ours(*load_mnist("train"))  # the named folder is empty: the cache has them
    _fill(tmp_path / "named", bad)
    with pytest.raises(ValueError, match="named/images: expected an IDX file"):
        load_mnist("train")
    _expect_ours(*load_mnist("train", data_dir=_fill(tmp_path / "argument", CONTENT)))


def test_the_cache_is_in_the_home_folder_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    _fill(tmp_path / ".cache" / "stnref" / "mnist", PACKED)
    _expect_ours(*load_mnist("train"))


# ------------------------------------------------------------------------------ damage

SWAPPED = _idx(IMAGES.swapaxes(1, 2))
FLIPPED = CONTENT["images"][:-1] + bytes([CONTENT["images"][-1] ^ 1])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("images.gz", PACKED["images.gz"][:-12], "expected a whole gzip file, got a damaged one"),
        ("images.gz", b"<html>404</html>", "expected a whole gzip file, got a damaged one"),
        ("images.gz", PACKED["images.gz"][:-8] + bytes(8), "expected a whole gzip file"),
        ("images", CONTENT["images"][:40], "expected 76 bytes of IDX data, got 40"),
        ("images", CONTENT["images"] + b"\0", "expected 76 bytes of IDX data, got more"),
        ("images", b"", "expected 76 bytes of IDX data, got 0"),
        ("images", SWAPPED, r"expected an IDX file of shape \(5, 4, 3\), got one that begins with"),
        ("images", CONTENT["labels"], r"expected an IDX file of shape \(5, 4, 3\)"),
        ("images", FLIPPED, "expected data with sha256"),
    ],
    ids=["half a gz", "a page", "wrong checksum", "truncated", "longer", "empty"]
    + ["another shape", "labels", "one bit"],
)
def test_a_damaged_file_is_named(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    folder = _fill(tmp_path / "here", {name: data, "labels": CONTENT["labels"]})
    with pytest.raises(ValueError, match=f"here/{name}: {message}.*delete it to download it"):
        load_mnist("train", data_dir=folder)


def test_a_small_gz_does_not_grow(tmp_path: Path) -> None:
    """Only as much of it is unpacked as the original has."""
    large = gzip.compress(CONTENT["images"][:16] + bytes(2**27))
    folder = _fill(tmp_path / "here", {"images.gz": large, "labels": CONTENT["labels"]})
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"images\.gz: expected 76 bytes of IDX data, got more"):
        load_mnist("train", data_dir=folder)
    (folder / "images.gz").unlink()
    with (folder / "images").open("wb") as sparse:
        sparse.truncate(2**31)
    with pytest.raises(ValueError, match="images: expected an IDX file"):
        load_mnist("train", data_dir=folder)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system knows no fifos")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "here", {"labels": CONTENT["labels"]})
    os.mkfifo(folder / "images")
    with pytest.raises(ValueError, match="images: expected a regular file, got another kind"):
        load_mnist("train", data_dir=folder)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    folder = _fill(tmp_path / "here", {"images": CONTENT["images"]})
    with pytest.raises(FileNotFoundError, match=r"labels: expected it or its \.gz in .*here or "):
        load_mnist("train", data_dir=folder, download=False)


def test_an_unknown_split() -> None:
    with pytest.raises(ValueError, match="split: expected one of 'train', 'test', got 'valid'"):
        load_mnist("valid")


# ------------------------------------------------------------------------------ downloading

Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


def _give(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


def _give_half(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])


def _give_another(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    _give(handler, data[:-1] + bytes([data[-1] ^ 1]))


def _refuse(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_error(404)


def _give_without_end(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        while True:
            handler.wfile.write(bytes(2**16))


def _promise_much(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(2**60))
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(bytes(2**16))


def _drip(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            handler.wfile.write(b"x")
            time.sleep(0.05)


def _drip_headers(handler: http.server.BaseHTTPRequestHandler, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            handler.wfile.write(b"H")
            time.sleep(0.05)


ANSWERS = {
    "good": _give,
    "half": _give_half,
    "another": _give_another,
    "none": _refuse,
    "endless": _give_without_end,
    "much": _promise_much,
    "drip": _drip,
    "headers": _drip_headers,
}


@pytest.fixture
def server() -> Iterator[str]:
    """Serve /good/, /half/ and so on, as ANSWERS says, on the loopback address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            way, name = self.path.strip("/").split("/")
            ANSWERS[way](self, PACKED[name])

        def log_message(self, *args: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


def _mirrors(monkeypatch: pytest.MonkeyPatch, server: str, *ways: str) -> None:
    monkeypatch.setattr(mnist, "MIRRORS", tuple(f"{server}{way}/" for way in ways))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_download_into_the_cache_is_made_once(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _mirrors(monkeypatch, server, "good")
    _expect_ours(*load_mnist("train"))
    folder = tmp_path / "cache" / "stnref" / "mnist"
    assert _names(folder) == set(PACKED)
    assert f"downloading {server}good/images.gz to {folder}" in capsys.readouterr().err
    monkeypatch.setattr(mnist, "MIRRORS", ())
    _expect_ours(*load_mnist("train"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("by", ["argument", "environment"])
def test_a_download_goes_into_the_named_folder(
    by: str, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _mirrors(monkeypatch, server, "good")
    named = tmp_path / "named"
    if by == "environment":
        monkeypatch.setenv("STNREF_DATA_DIR", str(named))
    _expect_ours(*load_mnist("train", data_dir=named if by == "argument" else None))
    assert _names(named) == set(PACKED)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("bad", [name for name in ANSWERS if name != "good"])
def test_the_next_mirror_is_tried(
    bad: str, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mnist, "DEADLINE", 0.3)
    _mirrors(monkeypatch, server, bad, "good")
    _expect_ours(*load_mnist("train", data_dir=tmp_path / "named"))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("none", "404"),
        ("half", "(IncompleteRead|another file)"),
        ("another", "another file, .*sha256 [0-9a-f]{64}"),
        ("endless", "another file, of 1100 bytes"),
        ("much", "another file, of 1100 bytes"),
        ("drip", "no whole file in 0.3 s"),
        ("headers", "no whole file in 0.3 s"),
    ],
)
def test_a_bad_download_leaves_nothing(
    bad: str, reason: str, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _mirrors(monkeypatch, server, bad)
    monkeypatch.setattr(mnist, "DEADLINE", 0.3)
    message = rf"images\.gz: expected a mirror to give it, got .*{reason}"
    with pytest.raises(OSError, match=message):
        load_mnist("train", data_dir=tmp_path / "named")
    assert _names(tmp_path / "named") == set()


def test_no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        address = f"http://127.0.0.1:{closed.server_port}/"
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    with pytest.raises(OSError, match=r"expected a mirror to give it, got .*refused"):
        load_mnist("train", data_dir=tmp_path)

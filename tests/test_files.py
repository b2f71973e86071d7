"""A file is the old one or the new one, never half of one."""

import os
import stat
from pathlib import Path

import pytest

from stnref import files


def test_it_writes_and_overwrites(tmp_path: Path) -> None:
    for data in (b"first", b"second, longer", b""):
        files.write_atomic(tmp_path / "file", data)
        assert (tmp_path / "file").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_crash_leaves_the_old_file_and_no_other(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_atomic(tmp_path / "file", b"old")

    def crash(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, call, crash)
    with pytest.raises(OSError, match="no space left"):
        files.write_atomic(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "file", b"")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "plain")]
    assert modes[0] == modes[1]

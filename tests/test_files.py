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


def test_of_two_that_make_a_file_one_succeeds(tmp_path: Path) -> None:
    files.write_atomic(tmp_path / "file", b"first", exclusive=True)
    with pytest.raises(FileExistsError, match="file"):
        files.write_atomic(tmp_path / "file", b"second", exclusive=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"first"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/file'$"):
        files.write_atomic(tmp_path / "nowhere" / "file", b"")


def test_what_a_kill_left_is_removed(tmp_path: Path) -> None:
    for name in (".file.abc", ".file.def", ".other.abc", "file"):
        (tmp_path / name).write_bytes(b"half")
    files.remove_temporaries(tmp_path / "file", older_than=1000)
    assert len(list(tmp_path.iterdir())) == 4
    os.utime(tmp_path / ".file.abc", (0, 0))
    files.remove_temporaries(tmp_path / "file", older_than=1000)
    assert not (tmp_path / ".file.abc").exists()
    files.remove_temporaries(tmp_path / "file")
    assert {path.name for path in tmp_path.iterdir()} == {".other.abc", "file"}

"""Where the key ring comes from, and every state of a source that is refused."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from credentials.crypto.keyring import KeyRing, generate_entry
from credentials.crypto.sources import (
    FileSource,
    create_key_file,
)
from credentials.errors import CryptoError, KeyRingInvalid, KeySourceUnsafe

STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def umask_022() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def id_of(entry: str) -> str:
    return entry.partition(":")[0]


def test_a_private_file_is_read(ring_file: Path, entry: str) -> None:
    assert FileSource(ring_file).load().ids == (id_of(entry),)
    ring_file.chmod(0o400)
    assert FileSource(ring_file).load().ids == (id_of(entry),)


def test_a_file_is_read_again_after_a_key_was_added(ring_file: Path, entry: str) -> None:
    newer = generate_entry()
    ring_file.write_text(f"{newer}\n{entry}\n", encoding="utf-8")
    assert FileSource(ring_file).load().ids == (id_of(newer), id_of(entry))


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o666, 0o440])
def test_a_file_open_to_others_is_refused(ring_file: Path, mode: int) -> None:
    ring_file.chmod(mode)
    with pytest.raises(KeySourceUnsafe, match=f"mode {mode:04o}.*chmod 600"):
        FileSource(ring_file).load()


def test_a_symbolic_link_is_refused(ring_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(ring_file)
    with pytest.raises(KeySourceUnsafe, match="symbolic link"):
        FileSource(link).load()


def test_a_file_with_a_second_name_is_refused(ring_file: Path, tmp_path: Path) -> None:
    os.link(ring_file, tmp_path / "second-name")
    with pytest.raises(KeySourceUnsafe, match="hard link"):
        FileSource(ring_file).load()


@as_root
def test_a_file_of_another_user_is_refused(ring_file: Path) -> None:
    os.chown(ring_file, STRANGER, -1)
    with pytest.raises(KeySourceUnsafe, match="belongs to another user"):
        FileSource(ring_file).load()


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeySourceUnsafe, match="not a regular file"):
        FileSource(tmp_path).load()


def test_a_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    begun = time.monotonic()
    with pytest.raises(KeySourceUnsafe, match="not a regular file"):
        FileSource(tmp_path / "pipe").load()
    assert time.monotonic() - begun < 5


def test_a_socket_and_a_device_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(CryptoError):
            FileSource(tmp_path / "s").load()
    with pytest.raises(CryptoError):
        FileSource(Path("/dev/zero")).load()


def test_a_missing_file_says_to_restore_it_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(KeyRingInvalid, match=r"does not exist\. Restore it"):
        FileSource(tmp_path / "absent").load()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "missing or empty"),
        (b"\n# nothing\n", "key ring is empty"),
        (b"#" * (64 * 1024 + 1), "more than 64 KiB"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"not a ring", "Entry 1"),
    ],
)
def test_a_file_that_holds_no_ring_is_refused(ring_file: Path, content: bytes, words: str) -> None:
    ring_file.write_bytes(content)
    with pytest.raises(KeyRingInvalid, match=words):
        FileSource(ring_file).load()


def test_a_file_of_exactly_64_kib_is_read(ring_file: Path, entry: str) -> None:
    ring_file.write_text(f"{entry}\n".ljust(64 * 1024, "#"), encoding="ascii")
    assert FileSource(ring_file).load().ids == (id_of(entry),)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_file_in_a_directory_that_others_may_write_is_refused(ring_file: Path, mode: int) -> None:
    ring_file.parent.chmod(mode)
    with pytest.raises(KeySourceUnsafe, match=f"mode {mode:04o}.*chmod go-w"):
        FileSource(ring_file).load()


@pytest.fixture
def deep(tmp_path: Path, entry: str) -> Path:
    """A key file two directories down: tmp/upper/lower/key-ring."""
    lower = tmp_path / "upper" / "lower"
    lower.mkdir(parents=True)
    path = lower / "key-ring"
    path.write_text(entry, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_directory_further_up_that_everybody_may_write_is_refused(deep: Path) -> None:
    deep.parent.parent.chmod(0o777)
    with pytest.raises(KeySourceUnsafe, match="upper"):
        FileSource(deep).load()


def test_a_sticky_directory_further_up_is_fine(deep: Path) -> None:
    deep.parent.parent.chmod(0o1777)
    assert FileSource(deep).load().ids


@as_root
def test_a_directory_further_up_that_a_shared_group_may_write_is_refused(deep: Path) -> None:
    os.chown(deep.parent.parent, -1, STRANGER)
    deep.parent.parent.chmod(0o770)
    with pytest.raises(KeySourceUnsafe, match="upper"):
        FileSource(deep).load()


@as_root
def test_a_directory_further_up_that_only_the_private_group_may_write_is_fine(deep: Path) -> None:
    os.chown(deep.parent.parent, -1, 0)
    deep.parent.parent.chmod(0o770)
    assert FileSource(deep).load().ids


def test_the_directories_behind_a_link_are_looked_at_too(deep: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(deep.parent)
    assert FileSource(tmp_path / "short" / "key-ring").load().ids
    deep.parent.parent.chmod(0o777)
    with pytest.raises(KeySourceUnsafe, match="upper"):
        FileSource(tmp_path / "short" / "key-ring").load()


def test_a_mounted_secret_volume_is_read_only_where_it_is_allowed(tmp_path: Path, entry: str) -> None:
    # As Kubernetes mounts it: a sticky volume, the file 0644 behind two symbolic links.
    volume = tmp_path / "volume"
    (volume / "..2026").mkdir(parents=True)
    (volume / "..2026" / "key-ring").write_text(entry, encoding="utf-8")
    (volume / "..2026" / "key-ring").chmod(0o644)
    (volume / "..data").symlink_to("..2026")
    (volume / "key-ring").symlink_to("..data/key-ring")
    volume.chmod(0o1777)

    assert FileSource(volume / "key-ring", allow_mode_0444=True).load().ids == (id_of(entry),)
    with pytest.raises(KeySourceUnsafe):
        FileSource(volume / "key-ring").load()


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o755])
def test_even_a_mounted_file_may_not_be_writable_or_executable_by_others(ring_file: Path, mode: int) -> None:
    ring_file.chmod(mode)
    with pytest.raises(KeySourceUnsafe, match="open to other users"):
        FileSource(ring_file, allow_mode_0444=True).load()


def test_a_created_key_file_is_private_and_gives_the_ring_that_was_returned(tmp_path: Path) -> None:
    path = tmp_path / "key-ring"
    os.umask(0)

    ring = create_key_file(path)

    found = path.stat()
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert (found.st_uid, found.st_nlink) == (os.geteuid(), 1)
    assert isinstance(ring, KeyRing)
    assert FileSource(path).load().ids == ring.ids
    assert create_key_file(tmp_path / "other").ids != ring.ids


def test_a_key_file_is_readable_whatever_the_umask(tmp_path: Path) -> None:
    os.umask(0o777)
    assert create_key_file(tmp_path / "key-ring").ids
    assert stat.S_IMODE((tmp_path / "key-ring").stat().st_mode) == 0o600


def test_an_existing_key_file_is_never_replaced(ring_file: Path) -> None:
    before = ring_file.read_bytes()
    with pytest.raises(KeyRingInvalid, match="never overwritten"):
        create_key_file(ring_file)
    assert ring_file.read_bytes() == before


def test_a_key_file_is_not_created_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "key-ring").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyRingInvalid, match="never overwritten"):
        create_key_file(tmp_path / "key-ring")
    assert not (tmp_path / "elsewhere").exists()


def test_a_key_file_is_not_created_where_others_could_replace_it(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(KeySourceUnsafe, match="chmod go-w"):
        create_key_file(tmp_path / "open" / "key-ring")
    assert list((tmp_path / "open").iterdir()) == []


def test_a_key_file_in_no_directory_says_why(tmp_path: Path) -> None:
    with pytest.raises(KeyRingInvalid, match="No such file or directory"):
        create_key_file(tmp_path / "absent" / "key-ring")


def test_of_many_that_start_at_once_exactly_one_creates_the_key_file(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from credentials.crypto.sources import create_key_file\n"
        "from credentials.errors import KeyRingInvalid\n"
        "try: print(*create_key_file(Path(sys.argv[1])).ids)\n"
        "except KeyRingInvalid: print('refused')"
    )
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-c", program, str(tmp_path / "key-ring")]
    started = [subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = sorted(process.communicate()[0].strip() for process in started)

    assert answers.count("refused") == 5
    assert set(answers) == {"refused", FileSource(tmp_path / "key-ring").load().primary.id}


def test_half_a_key_file_is_not_left_behind(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from credentials.crypto.sources import create_key_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "try: create_key_file(Path(sys.argv[1]))\n"
        "except OSError: print('no room')"
    )
    argv = [sys.executable, "-B", "-c", program, str(tmp_path / "key-ring")]
    answer = subprocess.run(argv, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True)

    assert answer.stdout == "no room\n"
    assert list(tmp_path.iterdir()) == []

"""A disk that is full: a limit on the size of files, and a real small file system."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

WRITES = """
    import sys
    from pathlib import Path
    from stemwright.errors import StorageError
    from stemwright.settings import read_settings
    from stemwright.storage.store import Store

    folder = Path(sys.argv[1])
    store = Store.open(read_settings(data=folder))

    def put(n_bytes: int) -> str:
        with store.writer() as writer:
            for _ in range(n_bytes // 50_000):
                writer.write(bytes(50_000))
            return writer.commit().digest

    small = put(100_000)
    for attempt in range(3):  # what failed gives its room back, or the second would fail otherwise than the first
        try:
            put(10_000_000)
        except StorageError as error:
            assert "No room is left" in str(error) and "free some space" in str(error), error
        else:
            raise SystemExit("10 MB went where there is no room for them")
    stem = folder / "stem"
    stem.write_bytes(b"stem")
    assert store.put_file(stem).size_bytes == 4
    assert sum(len(piece) for piece in store.read(small)) == 100_000
    assert len(list(store.digests())) == 2
    assert not list((folder / "files" / ".incoming").iterdir())
    print("as it should be")
"""


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and "as it should be" in done.stdout, done.stdout + done.stderr


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))\n"
    run([sys.executable, "-c", limit + textwrap.dedent(WRITES), str(tmp_path)])


def test_a_small_file_system(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    mount = 'mount -t tmpfs -o size=4m small "$1"'
    if (
        unshare is None
        or subprocess.run(
            [unshare, "-rm", "sh", "-c", mount, "sh", str(tmp_path)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("this machine lets nobody mount a small file system")
    script = tmp_path.with_name("writes.py")
    script.write_text(textwrap.dedent(WRITES))
    then = f'{mount} && exec "$2" "$3" "$1"'
    run([unshare, "-rm", "sh", "-c", then, "sh", str(tmp_path), sys.executable, str(script)])

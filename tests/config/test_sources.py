"""The files of a configuration: which are read, and everything a path or its content can be instead."""

import contextlib
import os
import pathlib
import socket
import tempfile
import time
from collections.abc import Iterator

import pytest

from supervisor.config.load import ConfigError, load
from supervisor.config.places import default_sources, is_configured
from supervisor.config.sources import LONGEST_FILE
from tests.config.loading import WEB, load_text, problems, write

SPECIAL = "allowed: a regular file, or a folder of *.toml files"


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """What ought to be refused at once may not take long, on a busy machine either."""
    start = time.process_time()
    yield
    assert time.process_time() - start < 5


def refused(path: str | os.PathLike[str]) -> list[str]:
    """The problems of loading a path that must be refused."""
    with quick(), pytest.raises(ConfigError) as caught:
        load([os.fspath(path)], {}, "/")
    return [str(problem) for problem in caught.value.problems]


def test_a_file_and_a_folder_and_again(tmp_path: pathlib.Path) -> None:
    """Paths are read in the order given, folders by name; a file that comes twice is read once."""
    write(tmp_path, single="")
    folder = tmp_path / "conf.d"
    folder.mkdir()
    write(folder, **{"b": "", "a": "", "10": "", ".hidden": "oops", "x.toml.bak": "oops"})
    (folder / "README").write_text("oops")
    (folder / "y.toml.off").write_text("oops")
    (folder / "x.toml.bak.toml").unlink()
    settings = load(["single.toml", "conf.d", "conf.d/a.toml", f"{tmp_path}/./single.toml"], {}, str(tmp_path))
    assert settings.sources == (
        f"{tmp_path}/single.toml",
        f"{folder}/10.toml",
        f"{folder}/a.toml",
        f"{folder}/b.toml",
    )


def test_an_empty_folder_is_fine(tmp_path: pathlib.Path) -> None:
    """A folder without files configures nothing, as a folder that waits for its mounts."""
    assert load([str(tmp_path)], {}, "/").sources == ()


def test_symbolic_links_are_followed(tmp_path: pathlib.Path) -> None:
    """A folder may be one of links, as the ones that container orchestrators mount."""
    data = tmp_path / "..data"
    data.mkdir()
    write(data, web=WEB)
    (tmp_path / "web.toml").symlink_to("..data/web.toml")
    assert list(load([str(tmp_path)], {}, "/").fleet.services) == ["web"]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# nothing\n", b"\xef\xbb\xbf", b"\r\n"])
def test_files_that_say_nothing(content: bytes) -> None:
    """An empty file is fine."""
    assert load_text(content).fleet.services == {}


def test_byte_order_mark_and_line_ends() -> None:
    """What editors of another system write is read."""
    assert list(load_text(b"\xef\xbb\xbf" + WEB.replace("\n", "\r\n").encode()).fleet.services) == ["web"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'a = "\xff"', "is not encoded as UTF-8: found byte 0xff (at line 1, column 6)"),
        (b"# \xc3\xa9\n# \xc3\xa9\xc3", "is not encoded as UTF-8: found byte 0xc3 (at line 2, column 4)"),
        ("a = 1".encode("utf-16"), "is encoded as UTF-16; allowed: UTF-8"),
        (b"oops", "is not valid TOML: Expected '=' after a key in a key/value pair (at end of document)"),
        (b"a = 1\nb = \n", "is not valid TOML: Invalid value (at line 2, column 5)"),
        (
            b"[services.a]\n[services.a]",
            "is not valid TOML: Cannot declare ('services', 'a') twice (at line 2, column 12)",
        ),
        (b"a = 1\x00", None),
        (b"\x00" * 1000, None),
        (b"a = " + b"[" * 10_000 + b"]" * 10_000, None),
        (b"a = " + b"{a=" * 10_000 + b"}" * 10_000, None),
        (b"a = " + b"1" * 5000, None),
        (b"a = 2024-13-45", None),
        (b"x = 1e400", "unknown key"),
        (b"." * 100_000, "has a key of more than 8 parts (at line 1)"),
        (b"#\n\n" + b"a." * 10_000 + b"a = 1", "has a key of more than 8 parts (at line 3)"),
        (b"[" + b"a." * 300_000 + b"a]", "has a key of more than 8 parts (at line 1)"),
        (b'x = { "a". ' + b"'a' ." * 100_000 + b"a = 1 }", "has a key of more than 8 parts (at line 1)"),
        (b'x = """\n....\n""" # .\n' + b'"a".' * 9 + b"a = 1", "has a key of more than 8 parts (at line 4)"),
        (b'x = "' + b'\\"' * 200_000 + b"." * 100, None),
        (b'x = """' + b'""' * 200_000 + b"." * 100, None),
    ],
)
def test_bad_content(content: bytes, message: str | None) -> None:
    """A file that is no TOML is one problem, soon, with the place in it."""
    with quick():
        (problem,) = problems(content)
    assert not problem.startswith("services")
    assert message is None or message in problem


@pytest.mark.parametrize(
    "text",
    [
        'x = "a.b.c.d.e.f.g.h.i.j.k"',
        "x = 'a.b.c.d.e.f.g.h.i.j.k'",
        "x = 1 # ..........................",
        'x = """\n# a.b.c.d.e.f.g.h.i.j.k " \\""" a.b.c.d.e.f.g.h.i.j\n"""',
        "x = '''\n \" a.b.c.d.e.f.g.h.i.j.k'''",
        "x = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]",
        "x = { a.b = 1, c.d = 2, e.f = 3, g.h = 4, i.j = 5, k.l = 6, m.n = 7, o.p = 8, q.r = 9 }",
        "a.b.c.d.e.f.g.h = 1",
    ],
)
def test_dots_that_are_no_deep_key(text: str) -> None:
    """Dots in strings, comments, numbers and several short keys are harmless."""
    (problem,) = problems(text)
    assert "unknown key" in problem


def test_a_long_file(tmp_path: pathlib.Path) -> None:
    """A file is read up to a bound, and no further."""
    path = tmp_path / "long.toml"
    path.write_bytes(b"#" * LONGEST_FILE)
    assert load([str(path)], {}, "/").sources == (str(path),)
    path.write_bytes(b"#" * (LONGEST_FILE + 1))
    assert refused(path) == [f"{path}: longer than 1048576 bytes; split it into several files"]
    os.truncate(path, 10 * 2**20)
    assert refused(path) == [f"{path}: longer than 1048576 bytes; split it into several files"]


def test_paths_that_are_not_there(tmp_path: pathlib.Path) -> None:
    """A path that is given must be readable; the reason is the system's."""
    write(tmp_path, file="")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name, reason in {
        "missing": "No such file or directory",
        "dangling": "No such file or directory",
        "file.toml/x": "Not a directory",
        "loop": "Too many levels of symbolic links",
        "x" * 300: "File name too long",
    }.items():
        assert refused(tmp_path / name) == [f"{tmp_path}/{name}: cannot be read: {reason}"]
    assert refused("/a\0b") == ["/a\\x00b: cannot be read: a path holds no NUL character"]


def test_a_folder_of_folders(tmp_path: pathlib.Path) -> None:
    """A folder called like a file is refused, so that a loop of folders is no loop."""
    (tmp_path / "loop.toml").symlink_to(".")
    assert refused(tmp_path) == [f"{tmp_path}/loop.toml: is a folder inside a folder; allowed: a regular file"]


def test_devices_and_pipes(tmp_path: pathlib.Path) -> None:
    """What is no regular file is neither read nor waited for."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert refused(fifo) == [f"{fifo}: is a FIFO; {SPECIAL}"]
    assert refused("/dev/zero") == [f"/dev/zero: is a character device; {SPECIAL}"]
    with contextlib.chdir(tmp_path), socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")  # by a relative name: the folder's may be too long for an address
        assert refused(tmp_path / "socket") == [f"{tmp_path}/socket: is a socket; {SPECIAL}"]
    os.rename(fifo, tmp_path / "fifo.toml")
    assert f"{tmp_path}/fifo.toml: is a FIFO; {SPECIAL}" in refused(tmp_path)


def test_a_file_whose_reading_fails() -> None:
    """An error in the middle of the reading is a problem as well."""
    assert refused("/proc/self/mem") == ["/proc/self/mem: cannot be read: Input/output error"]


@pytest.fixture
def nobodys_folder() -> Iterator[pathlib.Path]:
    """A folder of a user who is not root, and for the time of the test we are that user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        if os.geteuid() != 0:
            yield pathlib.Path(path)
            return
        os.chown(path, 65534, 65534)
        os.seteuid(65534)
        try:
            yield pathlib.Path(path)
        finally:
            os.seteuid(0)


def test_files_that_may_not_be_read(nobodys_folder: pathlib.Path) -> None:
    """A file or folder that is forbidden is a problem, not an absence."""
    folder = nobodys_folder / "conf.d"
    folder.mkdir()
    write(folder, web=WEB)
    os.chmod(folder / "web.toml", 0)
    assert refused(folder) == [f"{folder}/web.toml: cannot be read: Permission denied"]
    os.chmod(folder, 0)
    assert refused(folder) == [f"{folder}: cannot be read: Permission denied"]
    assert default_sources({}, str(folder)) == (f"{folder}/pausevisor.toml", f"{folder}/conf.d")
    os.chmod(folder, 0o700)


def test_no_descriptor_is_left(tmp_path: pathlib.Path) -> None:
    """Every file is closed, whatever became of it."""
    write(tmp_path, a="", b="oops")
    (tmp_path / "c.toml").mkdir()
    before = os.listdir("/proc/self/fd")
    for path in (tmp_path, "/dev/zero", "/proc/self/mem"):
        refused(path)
    assert os.listdir("/proc/self/fd") == before


def test_default_paths(tmp_path: pathlib.Path) -> None:
    """Without a path: the variable, else what there is of a file and a folder."""
    folder = str(tmp_path)
    assert default_sources({}, folder) == ()
    assert default_sources({}, f"{folder}/nowhere") == ()
    (tmp_path / "loop").symlink_to("loop")
    assert default_sources({}, f"{folder}/loop") == (f"{folder}/loop/pausevisor.toml", f"{folder}/loop/conf.d")
    (tmp_path / "conf.d").mkdir()
    assert default_sources({}, folder) == (f"{folder}/conf.d",)
    (tmp_path / "pausevisor.toml").symlink_to("dangling")
    assert default_sources({"PAUSEVISOR_CONFIG": ""}, folder) == (f"{folder}/pausevisor.toml", f"{folder}/conf.d")
    assert default_sources({"PAUSEVISOR_CONFIG": "a.toml"}, folder) == ("a.toml",)
    assert default_sources({"PAUSEVISOR_CONFIG": ":/a:b/:"}, folder) == ("/a", "b/")


def test_default_paths_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment the process's own is looked at."""
    monkeypatch.setenv("PAUSEVISOR_CONFIG", "/some/file")
    assert default_sources() == ("/some/file",)
    assert is_configured()

"""Files of sockets: private folders, names, processes that are gone."""

import io
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

import pytest

from recompyle import Unreachable, live
from recompyle.live import place
from recompyle.live.client import connect, place_of
from recompyle.live.place import Place

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_when_a_process_was_started(monkeypatch):
    ticks = os.sysconf("SC_CLK_TCK")
    started = place.started_at(place.start_of(os.getpid()))
    assert isinstance(started, float) and started > 1e9
    monkeypatch.setattr(place, "open", lambda *how: io.BytesIO(b"cpu  1 2\nbtime 1700000000\nctxt 5\n"), raising=False)
    assert place.started_at(5 * ticks) == 1_700_000_005
    assert place.started_at(0) is place.started_at(None) is None
    monkeypatch.setattr(place, "open", lambda *how: io.BytesIO(b"cpu  1 2\n"))
    assert place.started_at(5 * ticks) is None

    def forbidden(*how):
        raise PermissionError

    monkeypatch.setattr(place, "open", forbidden)
    assert place.started_at(5 * ticks) is None


def test_the_folder_is_made_private_whatever_the_umask(runtime):
    before = os.umask(0)
    try:
        made = place.new()
    finally:
        os.umask(before)
    assert made.folder == str(runtime / "recompyle")
    assert stat.S_IMODE(os.stat(made.folder).st_mode) == 0o700
    assert os.path.basename(made.socket) == f"rcp-{os.getpid()}-{place.start_of(os.getpid())}.sock"


@pytest.mark.parametrize("what", ["link", "file", "open", pytest.param("foreign", marks=as_root)])
def test_a_folder_that_is_not_ours_is_refused(runtime, tmp_path, what):
    folder = runtime / "recompyle"
    if what == "link":
        tmp_path.chmod(0o700)
        folder.symlink_to(tmp_path)
    elif what == "file":
        folder.touch(0o700)
    else:
        folder.mkdir(0o700)
        folder.chmod(0o755 if what == "open" else 0o700)
        if what == "foreign":
            os.chown(folder, 65534, 65534)
    with pytest.raises(Unreachable) as refusal:
        place.new()
    assert refusal.value.slug == "foreign_folder"
    found = os.lstat(folder)
    for word in (str(folder), f"of user {found.st_uid}", f"{stat.S_IMODE(found.st_mode):04o}"):
        assert word in str(refusal.value)


@as_root
def test_a_runtime_folder_of_another_user_is_not_used(runtime):
    os.chown(runtime, 65534, 65534)
    made = place.new()
    assert os.path.basename(made.folder).startswith(place.PREFIX)
    made.remove()
    assert not os.path.exists(made.folder)


@pytest.mark.parametrize("length", [0, 200])
def test_without_a_folder_or_with_too_long_a_path_a_private_one_is_made(monkeypatch, tmp_path, length):
    if length:
        long = tmp_path / ("x" * length)
        long.mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    else:
        monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    first, second = place.new(), place.new()
    assert first.folder != second.folder
    assert stat.S_IMODE(os.stat(first.folder).st_mode) == 0o700
    assert len(first.socket) <= place.PATH_LIMIT
    first.remove(), second.remove()
    assert not os.path.exists(first.folder)


def test_socket_and_token_are_private(start):
    program = start(listen="(os.umask(0), live.listen())[1]", text="import os")
    where = place_of(program.pid)
    assert where.socket == program.path
    assert stat.S_ISSOCK(os.stat(where.socket).st_mode)
    assert stat.S_IMODE(os.stat(where.socket).st_mode) == stat.S_IMODE(os.stat(where.token).st_mode) == 0o600
    assert len(bytes.fromhex(place.read_token(where))) == 32


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the folder alone is private")
def test_a_socket_is_private_before_it_has_a_name(runtime, monkeypatch):
    """And without a change of the umask, which is the whole process's."""
    modes = []

    class Watched(socket.socket):
        def bind(self, address):
            modes.append(stat.S_IMODE(os.fstat(self.fileno()).st_mode))
            super().bind(address)
            modes.append(stat.S_IMODE(os.stat(address).st_mode))

    before = os.umask(0)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(socket, "socket", Watched)
            patched.delattr(os, "umask")
            live.listen().close()
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]


def test_nothing_is_left_at_the_end(start, runtime):
    program = start()
    assert os.listdir(runtime / "recompyle")
    program.process.stdin.close()
    assert program.process.wait(60) == 0
    assert os.listdir(runtime / "recompyle") == []


def test_what_a_killed_program_left_is_removed_by_the_next(start, runtime):
    killed = start()
    killed.end()
    assert len(os.listdir(runtime / "recompyle")) == 2
    alive = start()
    assert sorted(os.listdir(runtime / "recompyle")) == sorted(map(os.path.basename, _files(alive)))


def _files(program):
    where = place_of(program.pid)
    return where.socket, where.token


def test_a_number_that_is_used_again_is_noticed(start, runtime):
    """The process lives, but it is not the one that listened."""
    program = start()
    where = place_of(program.pid)
    other = Place(where.folder, where.pid, where.start + 1)
    os.rename(where.socket, other.socket)
    os.rename(where.token, other.token)
    assert [each for each in place.found() if each.pid == program.pid and each.start != where.start] == []
    stale = Place(where.folder, os.getpid(), 1)
    for path in (stale.socket, stale.token):
        open(path, "w").close()
    place.remove_dead()
    assert not os.path.exists(stale.socket) and not os.path.exists(stale.token)
    assert os.path.exists(other.socket), "somebody listens there after all"


def test_a_socket_of_that_name_elsewhere_is_no_obstacle(start, tmp_path):
    """Anybody may bind a socket with the name of anybody's process."""
    program = start()
    decoy = tmp_path / os.path.basename(program.path)
    tmp_path.chmod(0o755)
    before = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        try:
            listener.bind(f"{tmp_path}/{decoy.name}" if len(str(decoy)) < 100 else decoy.name)
        finally:
            os.chdir(before)
        listener.listen()
        assert place_of(program.pid).socket == program.path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@as_root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_socket_of_another_user_is_looked_past(runtime, mode):
    """It is named after a process of ours that does not listen."""
    nobody = 65534
    folder = tempfile.mkdtemp(dir="/tmp")
    where = Place(folder, os.getpid(), place.start_of(os.getpid()))
    os.chown(folder, nobody, nobody)
    os.chmod(folder, mode)
    with Decoy(where, nobody), pytest.raises(Unreachable) as refusal:
        assert where in place.found()
        connect(os.getpid())
    shutil.rmtree(folder)
    assert refusal.value.slug == "no_agent"
    assert "does not listen" in str(refusal.value)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@as_root
def test_what_the_system_tells_of_sockets_and_processes(start, tmp_path):
    program = start()
    where = place_of(program.pid)
    assert place.user_of(program.pid) == os.geteuid()
    assert where.may_be_of(os.geteuid()) and where.may_be_of(None) and not where.may_be_of(os.geteuid() + 1)
    assert Place(str(tmp_path / "gone"), 1, 1).may_be_of(7), "nobody knows"


class Decoy:
    """A process of another user that binds a socket of any name."""

    def __init__(self, where, user):
        self.ready, ready = os.pipe()
        self.end, end = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setgid(user)
                os.setuid(user)
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(where.socket)
                listener.listen()
                os.write(ready, b"r")
                os.close(end)
                os.read(self.end, 1)
            finally:
                os._exit(0)
        self.ends = ready, end

    def __enter__(self):
        assert os.read(self.ready, 1) == b"r"

    def __exit__(self, *exc_info):
        for each in (*self.ends, self.ready, self.end):
            os.close(each)
        os.waitpid(self.pid, 0)


def test_a_runtime_folder_that_others_can_fill_is_not_used(runtime):
    runtime.chmod(0o777)
    made = place.new()
    try:
        assert not made.folder.startswith(str(runtime))
    finally:
        made.remove()


def test_a_folder_that_vanishes_meanwhile(monkeypatch, tmp_path):
    monkeypatch.setattr(place, "_folders", lambda: iter([str(tmp_path / "gone")]))
    place.found()
    place.remove_dead()


def test_no_such_process(runtime):
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with pytest.raises(Unreachable) as refusal:
        connect(ended.pid)
    assert refusal.value.slug == "no_process"


def test_a_process_that_does_not_listen(runtime):
    with pytest.raises(Unreachable) as refusal:
        connect(os.getpid())
    assert refusal.value.slug == "no_agent"
    assert "live run" in str(refusal.value) and "live.listen()" in str(refusal.value)


def test_a_token_that_others_can_read_is_not_sent(start):
    program = start()
    os.chmod(place_of(program.pid).token, 0o644)
    with pytest.raises(Unreachable) as refusal:
        program.connect()
    assert refusal.value.slug == "not_permitted"


def test_a_link_in_place_of_the_token_is_not_followed(start, tmp_path):
    program = start()
    where = place_of(program.pid)
    os.rename(where.token, tmp_path / "token")
    os.symlink(tmp_path / "token", where.token)
    with pytest.raises(Unreachable):
        program.connect()

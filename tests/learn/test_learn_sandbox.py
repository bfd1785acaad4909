"""Code cells: their output, and what they cannot do to the computer."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from mixtura.learn import sandbox
from mixtura.learn.sandbox import CellRun, DrawnFigure, Ended, Limits, PrintedText, Reason, Started

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="code cells are refused on this system, which is tested by itself"
)

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="namespaces, Landlock and /proc are Linux's"
)
AS_ROOT = os.name == "posix" and os.geteuid() == 0


def ran(code, files=None, **limits):
    """All that a cell printed, its figures, its beginning and its end."""
    events = list(CellRun(code, files, Limits(**limits)))
    text = "".join(event.text for event in events if isinstance(event, PrintedText))
    figures = [event.png for event in events if isinstance(event, DrawnFigure)]
    started = next((event for event in events if isinstance(event, Started)), None)
    assert isinstance(events[-1], Ended)
    return text, figures, started, events[-1]


def processes_with(mark, kind="cmdline"):
    """The numbers of all processes with this text in their command line or environment."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit() and mark.encode() in Path("/proc", name, kind).read_bytes():
                found.append(int(name))
    return found


def processes_of(folder):
    """All processes of the cell with this home folder; other tests may run at the same time."""
    return processes_with(f"HOME={folder}", "environ")


# ---- output --------------------------------------------------------------------------------------


def test_what_is_printed_is_shown():
    text, figures, _, end = ran("print('a bell', 6 * 7)")
    assert (text, figures, end.reason, end.left_behind) == ("a bell 42\n", [], Reason.FINISHED, 0)
    assert end.seconds > 0


def test_text_comes_while_the_cell_still_runs():
    run = CellRun("import time\nprint('first')\ntime.sleep(30)")
    begun = time.monotonic()
    for event in run:
        if isinstance(event, PrintedText) and "first" in event.text:
            assert time.monotonic() - begun < 20
            run.stop()
    assert event.reason is Reason.STOPPED


def test_errors_come_after_what_was_printed_and_name_the_readers_line():
    text, _, _, end = ran("print('before')\nx = 1\nx / 0")
    assert text.startswith("before\nTraceback")
    assert 'File "main.py", line 3' in text
    assert "x / 0" in text
    assert "cell.py" not in text
    assert end.reason is Reason.FAILED


def test_a_mistake_in_the_syntax_is_shown_with_its_line():
    text, _, _, end = ran("a = 1\nb = = 2")
    assert "line 2" in text
    assert "SyntaxError" in text
    assert end.reason is Reason.FAILED


def test_sys_exit_is_an_end_like_others():
    assert ran("import sys; sys.exit(0)")[3].reason is Reason.FINISHED
    text, _, _, end = ran("import sys; sys.exit('not today')")
    assert text == "not today\n"
    assert end.reason is Reason.FAILED


def test_every_open_figure_is_shown():
    code = (
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.figure()\nplt.plot([2, "
        "1])\nplt.show()"
    )
    text, figures, _, end = ran(code)
    assert (text, end.reason) == ("", Reason.FINISHED)
    assert len(figures) == 2
    assert all(figure.startswith(b"\x89PNG") for figure in figures)


def test_files_given_to_it_lie_beside_it():
    assert ran("print(open('data.csv').read())", {"data.csv": b"x,y\n1,2\n"})[0] == "x,y\n1,2\n\n"


def test_it_is_the_main_module_as_a_script_is():
    assert (
        ran("import __main__, sys\nprint(__name__, __main__.__file__, sys.argv)")[0]
        == "__main__ main.py ['main.py']\n"
    )


def test_letters_of_several_bytes_are_never_cut():
    text, _, _, _ = ran("print('µσ²' * 50000)")
    assert text == "µσ²" * 50000 + "\n"


def test_it_sees_a_clean_environment(monkeypatch):
    monkeypatch.setenv("MIXTURA_SECRET", "hush")
    text, _, _, _ = ran(
        "import os; print(sorted(os.environ)); print(os.environ['HOME'] == os.getcwd()); "
        "print(input())"
    )
    assert "MIXTURA_SECRET" not in text
    assert "True" in text
    assert "EOFError" in text


def test_nothing_of_it_stays_on_the_disk():
    text, _, _, _ = ran("import os\nopen('left.txt', 'w').write('x' * 1000)\nprint(os.getcwd())")
    assert text.startswith("/")
    assert not Path(text.strip()).exists()


def test_a_system_that_cannot_limit_a_process_refuses(monkeypatch):
    monkeypatch.setattr(sandbox.os, "name", "nt")
    (end,) = CellRun("print(1)")
    assert end.reason is Reason.REFUSED
    assert "Linux or macOS" in end.detail


# ---- attacks -------------------------------------------------------------------------------------


def test_an_endless_loop_is_stopped_by_the_clock():
    begun = time.monotonic()
    _, _, _, end = ran("while True: pass", wall_seconds=1)
    assert end.reason is Reason.TIME
    assert time.monotonic() - begun < 15


def test_an_endless_loop_is_stopped_by_its_processor_time():
    _, _, _, end = ran("while True: pass", cpu_seconds=1)
    assert end.reason is Reason.CPU


def test_stop_ends_it_in_the_middle():
    run = CellRun("print('on', flush=True)\nwhile True: pass")
    begun = None
    for event in run:
        if isinstance(event, PrintedText):
            begun = time.monotonic()
            threading.Thread(target=run.stop).start()
    assert event.reason is Reason.STOPPED
    assert time.monotonic() - begun < 5


def test_stop_before_the_start_is_a_stop():
    run = CellRun("print('never', flush=True)\nwhile True: pass")
    run.stop()
    assert list(run)[-1].reason is Reason.STOPPED


def test_a_reader_who_goes_away_ends_it():
    events = iter(
        CellRun("import time\nprint('on')\nwhile True: time.sleep(1)  # gone-reader-mark")
    )
    while not isinstance(next(events), PrintedText):
        pass
    begun = time.monotonic()
    events.close()
    assert time.monotonic() - begun < 5


def test_a_hundred_megabytes_of_text_are_cut_at_the_limit():
    begun = time.monotonic()
    text, _, _, end = ran("for _ in range(1000): print('x' * 100_000)", output_bytes=100_000)
    assert end.reason is Reason.OUTPUT
    assert len(text) == 100_000
    assert time.monotonic() - begun < 20


def test_figures_are_cut_at_their_limit():
    code = "import os\nfor _ in range(100): os.write(3, b'\\x00\\x10\\x00\\x00' + bytes(1 << 20))"
    _, figures, _, end = ran(code)
    assert end.reason is Reason.FIGURES
    assert figures == []


def test_what_is_no_picture_is_not_shown_as_one():
    _, figures, _, end = ran("import os\nos.write(3, b'\\x00\\x00\\x00\\x04<b>!')")
    assert (figures, end.reason) == ([], Reason.FINISHED)


@linux
def test_a_fork_bomb_runs_into_its_limit_and_nothing_of_it_is_left():
    code = (
        "import os\nprint(os.getcwd())\nwhile True:\n    try:\n        os.fork()\n    except "
        "OSError:\n        pass"
    )
    text, _, _, end = ran(code, wall_seconds=3, processes=40)
    assert end.reason is Reason.TIME
    assert (
        1 <= end.left_behind <= 60
    )  # how many of them were alive when time was up is chance; the limit is not
    assert processes_of(text.split()[0]) == []


def test_ten_gigabytes_are_refused():
    text, _, _, end = ran("x = bytearray(10 << 30)")
    assert "MemoryError" in text
    assert end.reason is Reason.FAILED


def test_a_file_of_a_gigabyte_is_refused():
    code = "with open('big', 'wb') as f:\n    for _ in range(1024): f.write(bytes(1 << 20))"
    text, _, _, end = ran(code)
    assert "File too large" in text
    assert end.reason is Reason.FAILED


@linux
def test_many_files_do_not_fill_the_disk():
    code = "for i in range(200):\n    with open(f'big{i}', 'wb') as f: f.write(bytes(1 << 20))"
    text, _, started, end = ran(code)
    if not started.disk:
        pytest.skip(f"no mounts here: {started.missing}")
    assert "No space left" in text
    assert end.reason is Reason.FAILED


@linux
def test_files_of_the_users_home_cannot_be_read(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("hush")
    secret.chmod(0o600)
    text, _, started, end = ran(f"print(open({str(secret)!r}).read())")
    if not (started.files or started.user):
        pytest.skip(f"no Landlock here: {started.missing}")
    assert "hush" not in text
    assert "PermissionError" in text or "FileNotFoundError" in text
    assert end.reason is Reason.FAILED


@linux
def test_files_outside_its_folder_cannot_be_written(tmp_path):
    tmp_path.chmod(0o777)
    _, _, started, _ = ran(f"open({str(tmp_path / 'new.txt')!r}, 'w').write('x')")
    if not started.files:
        pytest.skip(f"no Landlock here: {started.missing}")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_is_reported_differently_from_an_error():
    _, _, _, end = ran("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert (end.reason, end.detail) == (Reason.SIGNAL, "SIGSEGV")


BACKGROUND = """
import os, subprocess, sys, time
child = "import time  # {mark}\\nwhile True: time.sleep(0.1)"
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 100)
        os.execv(sys.executable, [sys.executable, "-c", child])
    os._exit(0)
subprocess.Popen([sys.executable, "-c", child], start_new_session=True, env={{}})
time.sleep({seconds})
print("leaving")
"""


@linux
def test_processes_left_behind_in_other_sessions_are_found_and_ended():
    text, _, _, end = ran(BACKGROUND.format(mark=f"left-behind-{os.getpid()}", seconds=0.5))
    assert (text, end.reason, end.left_behind) == ("leaving\n", Reason.FINISHED, 2)
    assert processes_with(f"left-behind-{os.getpid()}") == []


@linux
def test_stop_ends_processes_in_other_sessions_too():
    run = CellRun(
        "print('on')" + BACKGROUND.format(mark=f"stopped-behind-{os.getpid()}", seconds=60)
    )
    for event in run:
        if isinstance(event, PrintedText) and "on" in event.text:
            deadline = time.monotonic() + 20
            while (
                len(processes_with(f"# stopped-behind-{os.getpid()}")) < 2
                and time.monotonic() < deadline
            ):
                time.sleep(0.05)
            assert len(processes_with(f"# stopped-behind-{os.getpid()}")) >= 2
            run.stop()
    assert event.reason is Reason.STOPPED
    assert processes_with(f"stopped-behind-{os.getpid()}") == []


@linux
def test_it_cannot_end_the_process_that_watches_it():
    text, _, started, end = ran(
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nprint('done')"
    )
    if not (started.files or started.user):
        pytest.skip(f"no Landlock here: {started.missing}")
    assert "PermissionError" in text
    assert end.reason is Reason.FAILED


@linux
def test_it_dies_with_the_process_that_watches_it():
    said, guard = "", None
    for event in CellRun(
        "import os, time\nprint(os.getppid(), os.getcwd(), 'on')\nwhile True: time.sleep(0.1)"
    ):
        if isinstance(event, PrintedText):
            said += event.text
            if guard is None and "on" in said.split():
                guard, folder, _ = said.split()
                assert len(processes_of(folder)) == 1
                os.kill(int(guard), 9)
    assert event.reason is Reason.LOST
    deadline = time.monotonic() + 5
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(folder) == []


@linux
def test_it_has_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        text, _, started, end = ran(
            f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 3)\nprint('through')"
        )
    if not (started.network or started.files):
        pytest.skip(f"neither namespaces nor Landlock here: {started.missing}")
    assert "through" not in text
    assert end.reason is Reason.FAILED


@linux
@pytest.mark.skipif(not AS_ROOT, reason="only root has rights to give up")
def test_as_root_it_runs_as_a_user_without_rights():
    text, _, started, _ = ran(
        "import os\nprint(os.getresuid(), os.getresgid(), os.getgroups())\nos.setuid(0)"
    )
    user = started.user
    assert user in range(65520, 65534)
    assert text.startswith(f"({user}, {user}, {user}) ({user}, {user}, {user}) []\n")
    assert "PermissionError" in text


@linux
@pytest.mark.skipif(not AS_ROOT, reason="only root can take another user's place")
@pytest.mark.slow
def test_all_this_holds_for_an_ordinary_user_too():
    launch = (
        "import os, runpy, sys\n"
        "from mixtura.learn import confine\n"
        "confine.own_mounts()\n"
        "for home, paths in confine.closed_folders([*confine.what_python_reads(), "
        "sys.argv[1]]).items():\n"
        "    confine.show_only(home, paths)\n"
        "confine.become(54321)\n"
        "os.environ.update(HOME=sys.argv[2], TMPDIR=sys.argv[2], MPLCONFIGDIR=sys.argv[2])\n"
        "sys.argv = ['pytest', '-q', '-p', 'no:cacheprovider', '--rootdir', "
        "os.path.dirname(sys.argv[1]), sys.argv[1]]\n"
        "runpy.run_module('pytest', run_name='__main__')\n"
    )
    with tempfile.TemporaryDirectory(
        prefix="mixtura-ordinary-", ignore_cleanup_errors=True
    ) as folder:
        os.chown(folder, 54321, 54321)
        done = subprocess.run(
            [sys.executable, "-c", launch, __file__, folder],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert re.findall(r"(\d+) skipped", done.stdout) == ["2"], done.stdout

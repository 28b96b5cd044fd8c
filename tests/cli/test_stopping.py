"""Signals: the first stops, the second is answered, the third ends; and nothing else does."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BEGIN = """
import gc, os, signal, sys, threading, time
from jaxstyle.cli.stopping import Stops, check
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs this may have it ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
stops = Stops(lambda line: print(line, flush=True))

def ready():
    print("ready", flush=True)
"""
SAVING = """
with stops.heard():
    try:
        ready()
        threading.Event().wait(60)
    except KeyboardInterrupt:
        print("heard", flush=True)
        time.sleep(0.1)
        for _ in range(int(sys.argv[1])):
            time.sleep(0.1)
        print("saved", flush=True)
sys.exit(130)
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a program, and waits until it says that it is ready."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *words: str) -> Any:
        line = [sys.executable, "-c", BEGIN + textwrap.dedent(program), *words]
        process = subprocess.Popen(line, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        started.append(process)
        wait_for(process, "ready")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(process: Any, line: str) -> None:
    assert process.stdout.readline() == f"{line}\n"


def rest_of(process: Any, timeout: float = 30) -> str:
    """What it still says, to its end. (`communicate` would lose what the reading of a line has buffered.)"""
    last = threading.Timer(timeout, process.kill)
    last.start()
    said = process.stdout.read()
    process.wait()
    last.cancel()
    return said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_signal_stops(run: Callable[..., Any], number: signal.Signals) -> None:
    process = run(SAVING, "0")
    process.send_signal(number)
    assert rest_of(process) == "heard\nsaved\n" and process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_is_answered_and_the_third_ends(run: Callable[..., Any], number: signal.Signals) -> None:
    process = run(SAVING, "5")
    process.send_signal(number)
    wait_for(process, "heard")
    process.send_signal(number)
    wait_for(process, "saving what there is; once more ends at once, without it")
    assert rest_of(process) == "saved\n" and process.returncode == 130
    process = run(SAVING, "600")
    process.send_signal(number)
    wait_for(process, "heard")
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.1)
    assert rest_of(process).startswith("saving what there is") and process.returncode == 130


def test_a_terminal_that_closes_says_so_several_times(run: Callable[..., Any]) -> None:
    process = run(SAVING, "5")
    for _ in range(4):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.05)
    assert rest_of(process) == "heard\nsaved\n" and process.returncode == 130


def test_the_third_ends_where_the_main_thread_hears_nothing(run: Callable[..., Any]) -> None:
    """It is in a call that no signal interrupts, as a compiler's is."""
    process = run("""
        import ctypes
        with stops.heard():
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # other threads have it
            ready()
            ctypes.CDLL(None).sleep(60)
    """)
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    process.communicate(timeout=30)
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_ignored_stays_so(run: Callable[..., Any], number: signal.Signals) -> None:
    process = run(f"""
        signal.signal({int(number)}, signal.SIG_IGN)
        with stops.heard():
            ready()
            time.sleep(1)
        print("done")
    """)
    for _ in range(3):
        process.send_signal(number)
    assert rest_of(process) == "done\n" and process.returncode == 0


@pytest.mark.parametrize(
    "place", ["__hash__", "__eq__", "__del__", "a callback of the collector", "swallowed", "import"]
)
def test_one_that_comes_at_a_bad_moment_comes_again(run: Callable[..., Any], place: str, tmp_path: Path) -> None:
    """Neither dropped, nor raised where it does harm; and it is counted once."""
    (tmp_path / "slow.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhole = [*range(99999)]\n"
    )
    process = run(f"""
        def hit():
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(99999))
            return 1

        class Key:
            def __hash__(self):
                return hit()

            def __eq__(self, other):
                hit()
                whole.append(1)
                return True

        class Dying:
            def __del__(self):
                hit()
                whole.append(1)

        def collected(phase, _):
            if phase == "start" and not whole:
                whole.append(1)
                hit()

        whole, place = [], {place!r}
        with stops.heard():
            try:
                ready()
                if place == "__hash__":
                    whole.append(hash(Key()))
                elif place == "__eq__":
                    Key() == Key()
                elif place == "__del__":
                    Dying()
                elif place == "import":
                    sys.path.insert(0, os.getcwd())
                    import slow
                    whole = slow.whole
                elif place == "swallowed":
                    whole.append(1)
                    try:
                        hit()
                        time.sleep(9)
                    except BaseException:
                        check()
                else:
                    gc.callbacks.append(collected)
                    gc.collect(0)
                time.sleep(9)
            except KeyboardInterrupt:
                print("heard", bool(whole), flush=True)
            time.sleep(0.3)
        print("end")
    """)
    assert rest_of(process) == "heard True\nend\n" and process.returncode == 0


def test_what_was_there_is_there_again(run: Callable[..., Any]) -> None:
    process = run("""
        before = [signal.getsignal(number) for number in (2, 15, 1)], sys.unraisablehook, threading.active_count()
        with stops.heard():
            pass
        after = [signal.getsignal(number) for number in (2, 15, 1)], sys.unraisablehook, threading.active_count()
        assert after == before
        assert signal.set_wakeup_fd(-1) == -1
        check()
        other = threading.Thread(target=lambda: stops.heard().__enter__())  # hears nothing, and is not in the way
        other.start()
        other.join()
        try:
            ready()
            time.sleep(30)
        except KeyboardInterrupt:
            print("plain")
    """)
    process.send_signal(signal.SIGINT)
    assert rest_of(process) == "plain\n"


# -------------------------------------------------------------------------------------------------------- the program

PROGRAM = """
import signal, sys, threading, time
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler)
from jaxstyle.cli import main as module
from jaxstyle.cli.program import program

def main():
    thread = threading.Thread(target=time.sleep, args=(60,), name=sys.argv[2])
    thread.start()
    print("said")
    return int(sys.argv[1])

module.main = main
program()
"""


@pytest.mark.parametrize(("code", "thread"), [(130, "any"), (1, "compile_0"), (0, "compile_0")])
def test_a_process_ends_though_a_thread_is_at_work(code: int, thread: str) -> None:
    """With all that was printed."""
    line = [sys.executable, "-c", PROGRAM, str(code), thread]
    done = subprocess.run(line, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "said\n", "")


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1 2"])
def test_closed_descriptors_become_no_files_of_ours(closed: str, tmp_path: Path) -> None:
    program = """
        import os, sys
        from jaxstyle.cli.program import close_gaps
        close_gaps()
        with open("file", "w") as file:
            assert file.fileno() > 2
        sys.exit(7)
    """
    shut = " ".join(f"{number}>&-" for number in closed.split())
    line = f'exec "$0" -c "$1" {shut}'
    done = subprocess.run(["bash", "-c", line, sys.executable, textwrap.dedent(program)], cwd=tmp_path, check=False)
    assert done.returncode == 7 and (tmp_path / "file").exists()


def test_a_signal_before_the_command_hears_any(tmp_path: Path) -> None:
    """130 and a line, not Python's own way to end."""
    program = """
        import os, signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from jaxstyle.cli import program
        program.close_gaps = lambda: os.kill(os.getpid(), signal.SIGINT)
        program.program()
    """
    line = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "jaxstyle: stopped\n")

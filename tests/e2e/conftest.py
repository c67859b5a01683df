"""What every end-to-end test is given: a stated machine, and servers that are checked when it ends."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import GiB, Server, clean_environment, program, run_weir  # noqa: E402


def pytest_sessionstart():
    for name in ("weir", "weir-worker-fake"):
        if not os.access(program(name), os.X_OK):
            pytest.exit(f"{program(name)} is not there: WEIR_BIN names the folder", returncode=2)


def state_machine(folder, total=24 * GiB, available=24 * GiB):
    """A folder that WEIR_SYSTEM_ROOT can name: a machine of so much memory."""
    (folder / "proc").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(
        f"MemTotal:       {total // 1024} kB\nMemFree:        {available // 1024} kB\n"
        f"MemAvailable:   {available // 1024} kB\n")
    return folder


@pytest.fixture
def machine(tmp_path):
    return state_machine(tmp_path / "machine")


@pytest.fixture
def serve(tmp_path, machine):
    """serve({name: path}, options…) starts a server; at the end of the test all of them are checked."""
    servers = []

    def start(models, *options, machine=machine, **more):
        server = Server(tmp_path, machine, models, *options, **more)
        servers.append(server)
        return server

    yield start
    problems = []
    for server in servers:
        try:
            server.close()
        except AssertionError as problem:
            problems.append(str(problem))
    assert problems == []


@pytest.fixture
def weir(tmp_path, machine):
    """weir("ps", "--json", WEIR_HOST=url) runs one command and returns it, finished."""

    def run(*arguments, input=None, seconds=20, **environment):
        return run_weir([str(a) for a in arguments],
                        clean_environment(tmp_path, machine, **environment), input, seconds)

    return run

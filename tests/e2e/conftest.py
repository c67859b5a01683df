"""What each end-to-end test is given: a stated machine, and servers that are checked at its end."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Server, clean_environment, program, run_weir, state_machine  # noqa: E402


def pytest_sessionstart():
    for name in ("weir", "weir-worker-fake"):
        if not os.access(program(name), os.X_OK):
            pytest.exit(f"{program(name)} is not there: WEIR_BIN names the folder", returncode=2)


@pytest.fixture
def machine(tmp_path):
    return state_machine(tmp_path / "machine")


@pytest.fixture
def serve(tmp_path, machine):
    """serve({name: path}, options…) starts a server; at the end of the test all are checked."""
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

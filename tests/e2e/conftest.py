"""What each end-to-end test is given: a stated machine, and servers that are checked at its end."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import ROOT, Server, clean_environment, program, run_weir, state_machine  # noqa: E402


def pytest_sessionstart():
    # In the background a shell has programs ignore some signals, and weir leaves it at that.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
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


@pytest.fixture(scope="session")
def openai():
    """The official client library, which is put into the build folder when it is not installed."""
    folder = os.path.join(ROOT, "build", "python")
    sys.path.append(folder)
    try:
        return importlib.import_module("openai")
    except ImportError:
        done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder,
                               "openai==3.54.0"], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip("the openai library cannot be had: " + done.stderr[-200:])
    importlib.invalidate_caches()
    return importlib.import_module("openai")


@pytest.fixture
def server(serve):
    """A server with one model, which must be as well after the test as before."""
    server = serve({"m": "fake:text_embedding?dim=8", "team/model:q4": "fake:text_embedding"})
    yield server
    if not server.stopped:
        answer = server.embed("still here")
        assert answer.status == 200, answer

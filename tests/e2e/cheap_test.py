"""What weir costs while nobody asks, and what is left of it when many have asked: almost nothing.

The sizes here are what a test has time for; `scripts/bench connections million` are the whole ones.
"""

import json
import re
import resource
import signal
import socket
import subprocess
import threading
import time

from harness import MiB, SLOW, clean_environment, program, raw_post, read_text, wait_until

FAKE = "fake:text_embedding?slots=32&dim=8&script=yes"
WINDOW = 5  # seconds of sleep that are looked at

with open(program("weir"), "rb") as binary:
    # A sanitizer's memory and threads are its own.
    SANITIZED = re.search(rb"__[at]san_init", binary.read()) is not None


def switches(pid):
    """How often the process was given a CPU, all threads together."""
    tasks = subprocess.run(["sh", "-c", f"cat /proc/{pid}/task/*/status"], capture_output=True, text=True)
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", tasks.stdout))


def metric(server, name):
    text = server.get("/metrics").body.decode()
    return int(float(re.search(rf"^{name} (\S+)$", text, re.M).group(1)))


def quiet(server):
    """Until the only connection and the only request are the question itself."""
    wait_until(lambda: metric(server, "weir_http_connections") == 1 and
               metric(server, "weir_http_in_flight") == 1, 10, "nothing under way")


def test_an_idle_server_sleeps(serve):
    bare, served = serve({"m": FAKE}), serve({"m": FAKE})
    assert served.embed().status == 200
    served.wait_settled()
    workers = list(served.children())
    time.sleep(2)  # what the start and the request left to do is done
    before = {pid: switches(pid) for pid in (bare.pid, served.pid, *workers)}
    time.sleep(WINDOW)
    woken = {pid: switches(pid) - count for pid, count in before.items()}
    dirty = re.search(r"^Private_Dirty:\s+(\d+) kB", read_text(f"/proc/{bare.pid}/smaps_rollup"), re.M)
    if SANITIZED:
        return
    assert woken[bare.pid] == 0, woken
    for pid in (served.pid, *workers):
        assert woken[pid] <= WINDOW, woken
    assert int(dirty.group(1)) <= 8 * 1024


def test_idle_connections_cost_little(serve):
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        server = serve({"m": FAKE}, "--limit", "connections=1100")
        assert server.embed().status == 200
        resident = metric(server, "weir_resident_bytes")
        idle = [server.raw() for _ in range(count)]
        for connection in idle:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for connection in idle:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert metric(server, "weir_http_connections") == count + 1
        grown = metric(server, "weir_resident_bytes") - resident
        assert server.embed("with all of them there").status == 200
        idle[0].sendall(raw_post({"model": "m", "input": "one of them"}))
        assert idle[0].recv(4096).startswith(b"HTTP/1.1 200 ")
        for connection in idle:
            connection.close()
        quiet(server)
        assert SANITIZED or grown < 100 * MiB * count / 10000, grown
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def start_with_files(folder, machine, limit):
    """A server under `ulimit LIMIT`: its process, and the lines up to the one that says it listens."""
    process = subprocess.Popen(["sh", "-c", f'ulimit {limit} && exec "$@"', "sh", program("weir"), "serve",
                                "--listen", "127.0.0.1:0"], env=clean_environment(folder, machine),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "listening on" in line:
            break
    return process, "".join(lines)


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(15 * SLOW) == 0
    process.stderr.close()


def test_open_files(tmp_path, machine):
    process, said = start_with_files(tmp_path, machine, "-Sn 300")
    try:
        limits = read_text(f"/proc/{process.pid}/limits")
        soft = int(re.search(r"^Max open files\s+(\d+)", limits, re.M).group(1))
        assert soft >= 4096 and "connections=" not in said, (soft, said)
    finally:
        end(process)
    process, said = start_with_files(tmp_path, machine, "-n 600")
    try:
        assert "connections=300 instead of 4096" in said and "allows 600 open files" in said, said
    finally:
        end(process)


class Leavers(threading.Thread):
    """Clients that send a request of some length and close at once, one after another."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.count, self.is_over = server, 0, False

    def run(self):
        while not self.is_over:
            self.server.raw(raw_post({"model": "m", "input": f"!sleep 50ms {self.count}"})).close()
            self.count += 1
            time.sleep(0.01)

    def end(self):
        self.is_over = True
        self.join(20 * SLOW)


def ask(server, count):
    """So many requests, pipelined on some connections: of eight six succeed, one is wrong, one unknown."""
    each, lines, statuses = 40, 8, {}
    leavers = Leavers(server)
    leavers.start()
    connections = [server.raw() for _ in range(lines)]
    for at in range(0, count, each * lines):
        for line, connection in enumerate(connections):
            rows = [{"model": "m", "input": f"text {at} {line} {i}"} for i in range(each)]
            rows[::8] = [{"model": "m"}] * len(rows[::8])
            rows[1::8] = [{"model": "nobody", "input": "x"}] * len(rows[1::8])
            connection.sendall(b"".join(raw_post(row) for row in rows))
        for connection in connections:
            data = b""
            while len(found := re.findall(rb"HTTP/1\.1 (\d+) ", data)) < each or not data.endswith(b"}"):
                data += connection.recv(1 << 16)
            for status in found:
                statuses[int(status)] = statuses.get(int(status), 0) + 1
    for connection in connections:
        connection.close()
    leavers.end()
    quiet(server)
    return statuses, leavers.count


def test_many_requests_leave_nothing(serve):
    server = serve({"m": FAKE}, "--min-workers", "2", "--max-workers", "2")
    server.wait_settled()
    ask(server, 960)
    heap, files = metric(server, "weir_heap_bytes"), metric(server, "weir_open_fds")
    statuses, left = ask(server, 20480)
    assert statuses == {200: 15360, 400: 2560, 404: 2560} and left > 0
    assert metric(server, "weir_open_fds") == files
    assert metric(server, "weir_heap_bytes") - heap <= 64 * 1024
    assert json.loads(server.get("/weir/v1/status").body)["models"][0]["queue"] == 0

"""What a request may name as an image: URLs and paths, and everything that they must not reach."""

import base64
import http.server
import os
import threading

import pytest
from harness import clean_environment, run_weir

IMAGE = b"\x89PNG\r\n\x1a\n bytes"
CLIP = "fake:image_embedding?dim=8"
EYE = "fake:vision"


class Host:
    """A web server on every loopback address, which counts who comes."""

    def __init__(self):
        self.hits = 0
        host = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host.hits += 1
                self.send_response(200)
                self.send_header("Content-Type", "image/png")
                self.end_headers()
                self.wfile.write(IMAGE)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def host():
    host = Host()
    yield host
    host.close()


def embed(server, item):
    return server.post("/v1/embeddings", {"model": "clip", "input": [item]})


def describe(server, image):
    return server.post("/v1/chat/completions", {"model": "eye", "messages": [{
        "role": "user", "content": [{"type": "image_url", "image_url": image}]}]})


def both(server, url):
    """The same URL by both routes that take images."""
    return [embed(server, {"image": url}), describe(server, {"url": url})]


def models():
    return {"clip": CLIP, "eye": EYE}


# --- URLs ----------------------------------------------------------------------------------------

def test_urls_are_off_by_default(serve, host):
    server = serve(models())
    for url in (f"http://127.0.0.1:{host.port}/a.png", "https://example.com/a.png"):
        for answer in both(server, url):
            assert answer.status == 403, answer
            assert "--allow-image-urls" in answer.error["message"]
            assert answer.error["type"] == "permission_error"
    assert host.hits == 0


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.9.9.9", "0.0.0.0", "2130706433",
                                  "0x7f000001", "0177.0.0.1", "127.1", "[::1]",
                                  "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1",
                                  "169.254.169.254", "[fe80::1]", "[fd00::1]"])
def test_no_url_leads_inward(serve, host, name):
    """With URLs allowed, only public addresses are connected to, however they are written."""
    server = serve(models(), "--allow-image-urls")
    for answer in both(server, f"http://{name}:{host.port}/a.png"):
        assert answer.status == 403, answer
        assert "no public address" in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"
    assert host.hits == 0


def test_other_urls_are_refused(serve, tmp_path):
    server = serve(models(), "--allow-image-urls")
    for url in ("ftp://example.com/a.png", "gopher://example.com/", "/etc/passwd", "a.png", "",
                "http://user:secret@127.0.0.1/a.png", "http://", "http://no-such-host.invalid/a"):
        for answer in both(server, url):
            assert answer.status == 400, (url, answer)
            assert "secret" not in answer.error["message"]


def test_environment_can_allow_urls(serve, host):
    server = serve(models(), WEIR_ALLOW_IMAGE_URLS="yes")
    answer = embed(server, {"image": f"http://127.0.0.1:{host.port}/a.png"})
    assert answer.status == 403 and "no public address" in answer.error["message"], answer


# --- paths ---------------------------------------------------------------------------------------

@pytest.fixture
def folder(tmp_path):
    """root/{a b.png, deep/c.png, pipe, out -> secret, up -> ..}, beside it secret and root2."""
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (tmp_path / "root2").mkdir()
    for name in ("root/a b.png", "root/deep/c.png", "root2/d.png", "secret"):
        (tmp_path / name).write_bytes(IMAGE)
    os.mkfifo(root / "pipe")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    return tmp_path


def test_paths_are_off_by_default(serve, folder):
    server = serve(models())
    for item in ({"path": str(folder / "root/deep/c.png")},
                 {"image": f"file://{folder}/root/deep/c.png"}):
        answer = embed(server, item)
        assert answer.status == 403 and "--image-root" in answer.error["message"], answer


def test_paths_under_a_root(serve, folder):
    server = serve(models(), "--image-root", folder / "root", "--image-root", folder / "root2")
    data = "data:image/png;base64," + base64.b64encode(IMAGE).decode()
    expected = embed(server, {"image": data})
    assert expected.status == 200, expected
    for item in ({"path": f"{folder}/root/a b.png"}, {"path": f"{folder}/root//deep/./c.png"},
                 {"image": f"file://{folder}/root/a%20b.png"},
                 {"image": {"path": f"{folder}/root2/d.png"}},
                 {"type": "image_url", "image_url": f"file://localhost{folder}/root/deep/c.png"}):
        answer = embed(server, item)
        assert answer.status == 200, (item, answer)
        assert answer.vectors == expected.vectors
    seen = describe(server, data).json["choices"][0]["message"]["content"]
    assert seen.startswith("images=1:")
    answer = describe(server, {"path": f"{folder}/root/deep/c.png"})
    assert answer.json["choices"][0]["message"]["content"] == seen


@pytest.mark.parametrize("path, status", [
    ("secret", 403), ("root/../secret", 403), ("root/deep/../../secret", 403), ("root/out", 403),
    ("root/up/secret", 403), ("root2/d.png", 403), ("root/none.png", 400), ("root/deep", 400),
    ("root/pipe", 400), ("root", 403),
])
def test_nothing_else_is_read(serve, folder, path, status):
    server = serve(models(), "--image-root", folder / "root")
    for answer in (embed(server, {"path": f"{folder}/{path}"}), *both(server, f"file://{folder}/{path}")):
        assert answer.status == status, answer
        assert os.path.basename(path) in answer.error["message"]


def test_relative_and_proc_paths(serve, folder):
    server = serve(models(), "--image-root", folder / "root")
    for path in ("deep/c.png", "/proc/self/environ", "", "/"):
        answer = embed(server, {"path": path})
        assert answer.status == 403 and "--image-root" in answer.error["message"], answer


def test_size_of_a_file(serve, folder):
    server = serve(models(), "--image-root", folder / "root", "--limit", "image_bytes=1KiB")
    big = folder / "root" / "big.png"
    big.write_bytes(bytes(1024))
    assert embed(server, {"path": str(big)}).status == 200
    big.write_bytes(bytes(1025))
    answer = embed(server, {"path": str(big)})
    assert answer.status == 400 and "1.0 KiB" in answer.error["message"], answer
    big.write_bytes(b"")
    assert embed(server, {"path": str(big)}).status == 400


def test_wrong_root_is_named(machine, tmp_path):
    for root in ("relative", str(tmp_path / "none")):
        done = run_weir(["serve", "--listen", "127.0.0.1:0", "--image-root", root],
                        clean_environment(tmp_path, machine))
        assert done.returncode == 1 and root in done.stderr, done

"""Downloads from a local server: whole, cut, wrong, hanging, interrupted and concurrent."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
import tqdm

from tinygrad_cnn.data import DownloadError
from tinygrad_cnn.data.download import download

BODY = bytes(range(256)) * 1000


def verify(path):
    if path.read_bytes() != BODY:
        raise ValueError("wrong content")


def run(server, destination, *mirrors, **options):
    urls = [f"{server.url}/{mirror}/" for mirror in mirrors]
    options = {"max_bytes": len(BODY), "timeout": 10, "progress": False, **options}
    download(urls, destination, verify, **options)


def names(folder):
    return [entry.name for entry in folder.iterdir()]


def test_whole_file_into_a_new_folder(server, tmp_path):
    server.routes = {"/a/file": [BODY]}
    run(server, tmp_path / "new" / "folder" / "file", "a")
    assert (tmp_path / "new" / "folder" / "file").read_bytes() == BODY
    assert names(tmp_path / "new" / "folder") == ["file"]


def test_length_need_not_be_announced(server, send_reply, tmp_path):
    server.routes = {"/a/file": [lambda handler: send_reply(handler, BODY, length=False)]}
    run(server, tmp_path / "file", "a")
    assert (tmp_path / "file").read_bytes() == BODY


def test_each_kind_of_failure_goes_on_to_the_next_mirror(server, send_reply, tmp_path):
    server.routes = {
        "/cut/file": [lambda handler: send_reply(handler, BODY[:1000], length=len(BODY))],
        "/cut-silently/file": [lambda handler: send_reply(handler, BODY[:1000], length=False)],
        "/wrong/file": [b"something else"],
        "/gone/file": [404],
        "/broken/file": [500],
        "/right/file": [BODY],
        "/never-asked/file": [BODY],
    }
    run(server, tmp_path / "file", *(path.split("/")[1] for path in server.routes))
    assert (tmp_path / "file").read_bytes() == BODY
    assert names(tmp_path) == ["file"]
    assert "/never-asked/file" not in server.requests
    assert sum(server.requests.values()) == 6


def test_all_mirrors_failing_is_one_error_with_every_reason(server, send_reply, tmp_path):
    server.routes = {
        "/cut/file": [lambda handler: send_reply(handler, BODY[:1000], length=len(BODY))],
        "/wrong/file": [b"something else"],
        "/announces-too-much/file": [lambda handler: send_reply(handler, b"", length=10**12)],
        "/sends-too-much/file": [lambda handler: send_reply(handler, BODY + b"x", length=False)],
        "/closes/file": [lambda handler: handler.connection.close()],
    }
    (tmp_path / "file").write_bytes(b"what stood there before")
    with pytest.raises(DownloadError) as caught:
        run(server, tmp_path / "file", "gone", *(path.split("/")[1] for path in server.routes))
    lines = str(caught.value).split("\n  ")
    assert lines[0] == "file could not be downloaded from any mirror:"
    reasons = {
        line.split("/file: ")[0].rsplit("/")[-1]: line.split("/file: ")[1] for line in lines[1:]
    }
    assert reasons.pop("closes")  # what it says is the system's business
    assert reasons == {
        "gone": "HTTP Error 404: Not Found",
        "cut": "the connection was cut after 1,000 of 256,000 bytes",
        "wrong": "wrong content",
        "announces-too-much": "the server offers 1,000,000,000,000 bytes, expected at most 256,000",
        "sends-too-much": "the server sends more than the 256,000 bytes expected",
    }
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"what stood there before"


def test_unreachable_and_malformed_addresses(tmp_path):
    with pytest.raises(DownloadError) as caught:
        download(
            ["http://127.0.0.1:1", "not an address", "http://bad host/"],
            tmp_path / "file",
            verify,
            max_bytes=10,
        )
    reasons = str(caught.value).split("\n  ")[1:]
    assert "refused" in reasons[0]
    assert "unknown url type" in reasons[1]
    assert len(reasons) == 3


def test_no_mirrors(tmp_path):
    with pytest.raises(DownloadError, match=r"file could not be .* the list of mirrors is empty"):
        download([], tmp_path / "file", verify, max_bytes=10)


def test_a_hanging_server_times_out(server, tmp_path):
    release = threading.Event()

    def hang(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[:1000])
        release.wait(20)

    server.routes = {"/a/file": [hang]}
    try:
        with pytest.raises(DownloadError, match="timed out"):
            run(server, tmp_path / "file", "a", timeout=0.2)
    finally:
        release.set()
    assert names(tmp_path) == []


def test_a_server_that_drips_has_an_end(server, tmp_path, monkeypatch):
    """Each byte comes in time, all of them never would."""
    monkeypatch.setattr("tinygrad_cnn.data.download._PATIENCE", 0.2)

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                time.sleep(0.01)

    server.routes = {"/a/file": [drip]}
    with pytest.raises(DownloadError, match="the server took more than 0 seconds"):
        run(server, tmp_path / "file", "a")
    assert names(tmp_path) == []


def test_a_garbage_reply_is_told_in_plain_characters(server, tmp_path):
    def garbage(handler):
        handler.wfile.write(b"\x1b[31m\x00\xff" * 300 + b"\r\n")

    server.routes = {"/a/file": [garbage]}
    with pytest.raises(DownloadError) as caught:
        run(server, tmp_path / "file", "a")
    said = str(caught.value).splitlines()[1]
    assert said.isprintable()
    assert len(said) < 400


def test_progress_bar(server, tmp_path, monkeypatch):
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, **options):
            super().__init__(**{**options, "disable": True})
            self.options, self.received = options, 0
            bars.append(self)

        def update(self, n):
            self.received += n

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    server.routes = {"/a/file": [BODY]}
    run(server, tmp_path / "file", "a", progress=True)
    run(server, tmp_path / "file", "a", progress=False)
    shown, hidden = bars
    assert shown.options["desc"] == "file"
    assert shown.options["total"] == shown.received == len(BODY)
    assert shown.options["disable"] is None  # tqdm: shown if standard error is a terminal
    assert hidden.options["disable"] is True


SCRIPT = """
import signal
import sys
from pathlib import Path
from tinygrad_cnn.data.download import download

# A parent that ignores Ctrl-C, as a shell's background job does, would pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)

def verify(path):
    if path.stat().st_size != 256_000:
        raise ValueError("wrong content")

download([sys.argv[1]], Path(sys.argv[2]), verify, max_bytes=256_000, progress=False)
"""


def start(server, destination):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, f"{server.url}/a", str(destination)],
        stderr=subprocess.PIPE,
        text=True,
    )


def half_then_wait(arrived, release):
    """A reply of which the second half comes when `release` is set."""

    def reply(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY[: len(BODY) // 2])
        handler.wfile.flush()
        arrived.release()
        release.wait(20)
        handler.wfile.write(BODY[len(BODY) // 2 :])

    return reply


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_leaves_nothing(server, tmp_path):
    arrived, release = threading.Semaphore(0), threading.Event()
    server.routes = {"/a/file": [half_then_wait(arrived, release)]}
    process = start(server, tmp_path / "file")
    try:
        assert arrived.acquire(timeout=300)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=300)
    finally:
        process.kill()
        release.set()
    assert "KeyboardInterrupt" in stderr
    assert names(tmp_path) == []


def test_two_processes_at_once(server, tmp_path):
    arrived, release = threading.Semaphore(0), threading.Event()
    server.routes = {"/a/file": [half_then_wait(arrived, release)]}
    processes = [start(server, tmp_path / "file") for _ in range(2)]
    try:
        for _ in processes:  # both are in the middle of the file
            assert arrived.acquire(timeout=300)
        assert len(names(tmp_path)) == 2
        release.set()
        outcomes = [
            (*process.communicate(timeout=300), process.returncode) for process in processes
        ]
    finally:
        for process in processes:
            process.kill()
        release.set()
    assert outcomes == [(None, "", 0)] * 2
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == BODY

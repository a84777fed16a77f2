"""A local HTTP server that serves files well or badly, as a test asks."""

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Server:
    """Serves what `routes` says: for a path a list of replies, the last of which stays.

    A reply is bytes (served whole), an integer (an HTTP error), or a function that gets the
    request handler.
    """

    def __init__(self):
        self.routes = {}
        self.requests = defaultdict(int)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.reply(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def reply(self, handler):
        replies = self.routes.get(handler.path, [404])
        reply = replies[min(self.requests[handler.path], len(replies) - 1)]
        self.requests[handler.path] += 1
        if isinstance(reply, int):
            handler.send_error(reply)
        elif isinstance(reply, bytes):
            send(handler, reply)
        else:
            reply(handler)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def send(handler, content, *, length=None):
    """Send `content` under a header that promises `length` bytes; False: promise nothing."""
    handler.send_response(200)
    if length is not False:
        handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


@pytest.fixture
def send_reply():
    return send

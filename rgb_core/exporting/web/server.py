"""One page served over HTTP from memory, for browsers that treat local files worse than addresses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ...errors import InputError


class PageServer:
    """A server that answers in a thread of its own until `serve`'s block ends."""

    def __init__(self, text: str, host: str, port: int):
        content = text.encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.split("?")[0] == "/"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content) if found else 0))
                self.end_headers()
                if found:
                    self.wfile.write(content)

            def log_message(self, *args: object) -> None:
                """Nothing: the console belongs to the command line."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}/"

    def wait(self) -> None:
        """Serve until the program is interrupted."""
        self._thread.join()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def serve(text: str, host: str = "127.0.0.1", port: int = 0) -> Iterator[PageServer]:
    """Serve a page while the block runs; `port` 0 takes a free one.

    Raises:
        InputError: when the address cannot be used.
    """
    try:
        server = PageServer(text, host, port)
    except OSError as error:
        raise InputError(
            f"cannot serve on {host} port {port}: {error.strerror or error}; try another --port"
        ) from error
    try:
        yield server
    finally:
        server.close()

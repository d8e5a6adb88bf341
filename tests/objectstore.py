"""A server that keeps objects as S3 does, as far as git-annex asks: a program for tests.

``objectstore.py PORT DIRECTORY KEYS``: objects are files in DIRECTORY; who calls must use one of
the access keys that are lines of the file KEYS (signatures are not looked at).

Source: Amazon Simple Storage Service API Reference; tried with git-annex 10.20261026.
"""

import hashlib
import sys
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LOCATION = b"<LocationConstraint></LocationConstraint>"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    directory: Path
    keys: Path

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path = self.allowed_path()
        if path is None:
            return
        if path != self.directory:
            path.write_bytes(data)
        self.answer(200, b"", ETag=etag(data))

    def do_GET(self) -> None:
        path = self.allowed_path()
        if path == self.directory:
            self.answer(200, LOCATION)
        elif path is not None and path.exists():
            self.answer(200, path.read_bytes())
        elif path is not None:
            self.refuse(404, "NoSuchKey")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        path = self.allowed_path()
        if path is not None:
            path.unlink(missing_ok=True)
            self.answer(204, b"")

    def allowed_path(self) -> Path | None:
        """The file that is meant; None if the caller was sent away."""
        said = self.headers.get("Authorization", "")
        if not any(key in said for key in self.keys.read_text().split()):
            self.refuse(403, "InvalidAccessKeyId")
            return None
        name = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/")
        _bucket, _, key = name.partition("/")
        return self.directory / urllib.parse.quote(key, safe="") if key else self.directory

    def refuse(self, status: int, code: str) -> None:
        """Say why not."""
        self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {"ETag": etag(body), **headers}.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, _format: str, *_args: object) -> None:
        """Keep quiet."""


def etag(data: bytes) -> str:
    """What S3 calls an object's state."""
    return f'"{hashlib.sha256(data).hexdigest()}"'


if __name__ == "__main__":
    port, directory, keys = sys.argv[1:]
    Handler.directory, Handler.keys = Path(directory), Path(keys)
    HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()

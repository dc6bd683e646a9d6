"""A Hugging Face hub on this machine's loopback: as much of its HTTP interface as the real client asks for."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse


class Hub(ThreadingHTTPServer):
    """One repository, `user/zoo`, of one branch. `overtaken` makes somebody else commit before every commit."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Requests)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.commits: list[list[str]] = []
        self.head = "0" * 40
        self.overtaken = False


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def answer(self, code: int, data: object, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        body, hub = self.rfile.read(int(self.headers["Content-Length"] or 0)), self.server
        if self.path == "/api/repos/create":
            self.answer(200, {"url": f"{hub.url}/user/zoo"})
        elif "/preupload/" in self.path:
            asked = [file["path"] for file in json.loads(body)["files"]]
            self.answer(200, {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in asked]})
        elif "/commit/" in self.path:
            head, *changes = [json.loads(line)["value"] for line in body.splitlines()]
            if hub.overtaken or head["parentCommit"] != hub.head:
                self.answer(412, {"error": "a commit has come in between"})
                return
            hub.files |= {change["path"]: base64.b64decode(change["content"]) for change in changes}
            hub.commits.append([change["path"] for change in changes])
            hub.head = hashlib.sha1(hub.head.encode()).hexdigest()
            url = f"{hub.url}/user/zoo/commit/{hub.head}"
            self.answer(200, {"commitUrl": url, "commitOid": hub.head, "hookOutput": ""})
        else:
            self.answer(404, {})

    def do_GET(self) -> None:
        path, hub = unquote(urlparse(self.path).path), self.server
        if found := re.fullmatch(r"/user/zoo/resolve/\w+/(.+)", path):
            data = hub.files[found[1]]
            self.answer(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=hub.head)
        elif re.fullmatch(r"/api/models/user/zoo(/revision/\w+)?", path):
            files = [{"rfilename": name} for name in hub.files]
            self.answer(200, {"id": "user/zoo", "sha": hub.head, "siblings": files, "private": False, "tags": []})
        elif path.startswith("/api/models/user/zoo/tree/"):
            files = [{"type": "file", "path": n, "size": len(d), "oid": "f" * 40} for n, d in hub.files.items()]
            self.answer(200, files)
        else:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")

    do_HEAD = do_GET


@contextlib.contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()

"""The local server: what is answered, and which attacks are refused."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the extra 'explore' is not installed")

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mixtura.web.guard import KEY_HEADER, PROTOCOL
from mixtura.web.server import KEY_PLACE, MOST_BYTES, _listening, secured
from serving import Running, running


async def greet(_: Request) -> Response:
    return JSONResponse({"hello": "page"})


async def size(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


def stumble(_: Request) -> Response:
    raise ValueError("K must be at least 1, but got 0.")


async def echo(socket: WebSocket) -> None:
    await socket.accept(subprotocol=PROTOCOL)
    await socket.send_text(await socket.receive_text())


ROUTES = [
    Route("/api/greet", greet),
    Route("/api/size", size, methods=["POST"]),
    Route("/api/stumble", stumble),
    WebSocketRoute("/api/echo", echo),
]


def page(folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><head>{KEY_PLACE}</head>")
    return path


@pytest.fixture
def server(tmp_path) -> Iterator[Running]:
    static = tmp_path / "static"
    static.mkdir()
    (static / "page.js").write_text("export const x = 1;")
    (static / "notes.txt").write_text("not for a page")
    (tmp_path / "secret.js").write_text("secret")
    (static / "linked.js").symlink_to(tmp_path / "secret.js")
    with running(secured(ROUTES, page(tmp_path), static={"own": static})) as it:
        yield it


# ---- the way in ----------------------------------------------------------------------------------


def test_the_link_opens_the_page_with_a_strict_cookie_and_the_key(server):
    answer, text = server.ask(f"/?token={server.app.access.token}")
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status == 200
    assert server.app.access.key in text.decode()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_the_page_asks_with_cookie_and_key(server):
    assert server.ask("/api/greet", server.inside)[1] == b'{"hello":"page"}'


def test_a_reloaded_page_comes_without_the_key(server):
    answer, text = server.ask("/", server.cookie)
    assert answer.status == 200
    assert server.app.access.key not in text.decode()


def test_the_message_of_an_endpoints_error_is_answered(server):
    answer, text = server.ask("/api/stumble", server.inside)
    assert (answer.status, text) == (422, b'{"error":"K must be at least 1, but got 0."}')


def test_a_socket_opens_with_cookie_origin_and_key(server):
    with connect(
        f"ws://{server.host}/api/echo",
        origin=f"http://{server.host}",
        subprotocols=[PROTOCOL, server.app.access.key],
        additional_headers=server.cookie,
    ) as line:
        line.send("hello")
        assert line.recv() == "hello"


def test_each_answer_tells_the_browser_what_the_page_may_not_do(server):
    for path, headers in (("/", server.cookie), ("/api/greet", server.inside), ("/", {})):
        answer, _ = server.ask(path, headers)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert re.search(r"script-src 'self'(;|$)", policy)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


def test_the_server_listens_on_the_loopback_interface_alone():
    with _listening(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


# ---- attacks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "localhost.:{port}",
        "",
    ],
)
def test_a_wrong_host_is_refused(server, host):
    assert (
        server.status("/api/greet", {**server.inside, "Host": host.format(port=server.port)}) == 403
    )


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1",
        "http://localhost:{port}",
    ],
)
def test_a_wrong_origin_is_refused(server, origin):
    headers = {**server.inside, "Origin": origin.format(port=server.port)}
    assert server.status("/api/greet", headers) == 403
    assert server.status("/api/size", headers, b"x") == 403


def test_a_post_without_an_origin_is_refused(server):
    headers = {name: value for name, value in server.inside.items() if name != "Origin"}
    assert server.status("/api/size", headers, b"x") == 403
    assert server.status("/api/size", server.inside, b"x") == 200


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=wrong", "/api/greet", "/static/own/page.js", "/nothing"]
)
def test_without_token_and_cookie_nothing_is_answered(server, path):
    assert server.status(path) == 403
    assert server.status(path, {"Cookie": f"{server.app.access.cookie_name}=wrong"}) == 403


def test_a_token_works_once(server):
    link = f"/?token={server.app.access.token}"
    assert server.status(link) == 200
    answer, text = server.ask(link)
    assert answer.status == 403
    assert b"works once" in text


def test_a_token_opens_only_the_page(server):
    token = server.app.access.token
    assert server.status(f"/api/greet?token={token}") == 403
    assert server.status(f"/?token={token}&token={token}") == 403
    assert server.status(f"/?token={token}") == 200


@pytest.mark.parametrize("key", [None, "", "wrong"])
def test_a_call_without_the_key_is_refused_although_the_cookie_is_right(server, key):
    headers = {name: value for name, value in server.inside.items() if name != KEY_HEADER}
    assert (
        server.status("/api/greet", headers if key is None else {**headers, KEY_HEADER: key}) == 403
    )


@pytest.mark.parametrize(
    "name",
    [
        "own/../secret.js",
        "own/%2e%2e/secret.js",
        "own/..%2fsecret.js",
        "own%2f..%2f..%2fpage.html",
        "own/%252e%252e/secret.js",
        "own/..\\secret.js",
        "own/..%5csecret.js",
        "../page.html",
        "/etc/passwd",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "own/page.js%00.css",
        "own/./page.js",
        "own/notes.txt",
        "own/linked.js",
        "own",
        "",
    ],
)
def test_a_path_leads_nowhere_but_to_the_listed_files(server, name):
    answer, text = server.ask(f"/static/{name}", server.cookie)
    assert answer.status == 404
    assert b"secret" not in text
    assert b"root:" not in text


def test_a_listed_file_is_served_as_what_it_is(server):
    answer, text = server.ask("/static/own/page.js", server.cookie)
    assert (answer.status, text) == (200, b"export const x = 1;")
    assert answer.headers["content-type"].startswith("text/javascript")


def test_an_upload_that_announces_too_much_is_refused_unread(server):
    assert server.status("/api/size", server.inside, b"x" * MOST_BYTES) == 200
    assert server.status("/api/size", server.inside, b"x" * (MOST_BYTES + 1)) == 413


def test_an_upload_that_announces_nothing_is_cut_off(server):
    chunks = (b"x" * 8192 for _ in range(MOST_BYTES // 8192 + 1))
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(
        "POST",
        "/api/size",
        chunks,
        {**server.inside, "Transfer-Encoding": "chunked"},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 413
    connection.close()


def test_headers_without_end_are_cut_off(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 70_000)
        assert b" 400 " in line.recv(1000)


@pytest.mark.parametrize(
    "attack",
    ["none", "other origin", "no origin", "no cookie", "no key", "wrong key", "wrong host"],
)
def test_a_socket_that_is_not_the_pages_is_refused(server, attack):
    headers = {
        **server.cookie,
        "Host": server.host,
        "Origin": f"http://{server.host}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": f"{PROTOCOL}, {server.app.access.key}",
    }
    changes = {
        "other origin": {"Origin": "http://evil.example"},
        "no origin": {"Origin": None},
        "no cookie": {"Cookie": None},
        "no key": {"Sec-WebSocket-Protocol": PROTOCOL},
        "wrong key": {"Sec-WebSocket-Protocol": f"{PROTOCOL}, wrong"},
        "wrong host": {
            "Host": f"evil.example:{server.port}",
            "Origin": f"http://evil.example:{server.port}",
        },
    }
    headers.update(changes.get(attack, {}))
    status = server.status(
        "/api/echo", {name: value for name, value in headers.items() if value is not None}
    )
    assert status == (101 if attack == "none" else 403)


def test_a_socket_takes_no_frame_without_bound(server):
    with connect(
        f"ws://{server.host}/api/echo",
        origin=f"http://{server.host}",
        subprotocols=[PROTOCOL, server.app.access.key],
        additional_headers=server.cookie,
    ) as line:
        line.send("x" * (MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed) as closed:
            line.recv()
    assert closed.value.rcvd.code == 1009


def test_secrets_differ_from_server_to_server_and_from_each_other(tmp_path):
    one, other = (secured(ROUTES, page(tmp_path)).access for _ in range(2))
    assert len({one.token, one.cookie, one.key, other.token, other.cookie, other.key}) == 6


# ---- what a face may not do by mistake -----------------------------------------------------------


def test_a_route_outside_of_api_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must begin with /api/"):
        secured([Route("/free", greet)], page(tmp_path))


def test_a_page_without_a_place_for_the_key_is_refused(tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html>")
    with pytest.raises(ValueError, match="for the key"):
        secured(ROUTES, tmp_path / "page.html")

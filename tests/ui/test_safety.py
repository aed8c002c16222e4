"""Who may ask the server for something, and what it lets nobody do: over real HTTP, sentence by sentence."""

from __future__ import annotations

import json
import socket
import time

import pytest

import tracklake as tl
from tracklake.ui import Server, http_handler, serve
from tracklake.ui import server as server_module
from tracklake.ui.guard import BODY_LIMIT


def test_it_listens_on_the_loopback_address_only(server):
    """Nobody on another machine reaches it."""
    assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "LOCALHOST:{port}", ""]
)
def test_another_host_is_misdirected(browser, host):
    """A name that a hostile name server points at this machine is answered by 421, whatever the cookie."""
    answer = browser.get("/api/runs", Host=host.format(port=browser.port))
    assert answer.status == 421
    assert b"printed link" in answer.body


def test_two_hosts_are_misdirected(browser):
    """A request with two Host headers is not served by either."""
    hosts = f"Host: 127.0.0.1:{browser.port}\r\nHost: evil.example\r\n"
    request = f"GET /api/runs HTTP/1.1\r\n{hosts}Cookie: {browser.cookie}\r\n\r\n"
    assert b" 421 " in spoken(browser.port, request.encode())


def test_localhost_is_a_name_of_this_machine(browser):
    """localhost with the port is served like 127.0.0.1."""
    assert browser.get("/api/changes", Host=f"localhost:{browser.port}").status == 200


def test_without_the_cookie_nothing_is_told(browser):
    """Other users of the machine, who do not have the link, get neither data nor files of the page."""
    browser.cookie = ""
    assert [browser.get(path).status for path in ("/", "/runs", "/api/runs", "/static/main.js")] == [403] * 4
    assert b"printed" in browser.get("/runs").body


@pytest.mark.parametrize("cookie", ["tracklake_{port}=", "tracklake_{port}=guess", "tracklake_1={value}", "=;;=\x7f"])
def test_a_wrong_cookie_is_none(browser, cookie):
    """A cookie of another port, or a guess, lets nobody in."""
    browser.cookie = cookie.format(port=browser.port, value=browser.cookie.split("=", 1)[1])
    assert browser.get("/api/runs").status == 403


def test_the_link_leads_to_the_page_and_leaves_a_strict_cookie(server, browser):
    """The token is changed for a cookie that no script reads and no other site sends; the address is clean then."""
    answer = browser.get(f"/?token={server.guard.token}&where=a")
    assert (answer.status, answer.headers["location"]) == (303, "/runs?where=a")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"tracklake_{server.port}=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert server.guard.token not in cookie


def test_a_wrong_token_lets_nobody_in(browser):
    """A link of another server is refused, with a hint."""
    answer = browser.get("/?token=guess")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)


def test_a_link_on_another_site_comes_again(browser):
    """A strict cookie is held back on the way from another site: the browser is asked to come once more, by itself."""
    browser.cookie = ""
    answer = browser.get("/runs", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
    assert b"http-equiv=refresh" in answer.body
    assert browser.get("/runs", **{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}).status == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1:{port}"]
)
def test_another_origin_changes_nothing(lake, browser, origin):
    """A change must come from the page itself."""
    headers = {"Content-Type": "application/json"}
    headers |= {"Origin": origin.format(port=browser.port)} if origin else {}
    body = json.dumps({"runs": ["lr0.1-s0"], "fields": {"notes": "changed"}}).encode()
    assert browser.send("POST", "/api/edit", headers=headers, body=body).status == 403
    assert lake.run("lr0.1-s0").facts["notes"] is None


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_change_is_json(browser, content_type):
    """What a form of another site could send is refused."""
    assert browser.change("edit", {}, **{"Content-Type": content_type}).status == 415


def test_a_large_body_is_refused_unread(browser):
    """A body above the limit is refused by its length alone."""
    request = f"{post(browser)}Content-Length: {BODY_LIMIT + 1}\r\n\r\n"
    assert b" 413 " in spoken(browser.port, request.encode())


@pytest.mark.parametrize("extra", ["", "Content-Length: -1\r\n", "Content-Length: 2\r\nContent-Length: 3\r\n"])
def test_a_body_of_unknown_length_is_refused(browser, extra):
    """A POST says once how long it is."""
    assert b" 411 " in spoken(browser.port, f"{post(browser)}{extra}\r\n{{}}".encode())


def test_transfer_encodings_are_refused(browser):
    """A chunked body, by which requests are smuggled, is not read."""
    assert browser.get("/api/runs", **{"Transfer-Encoding": "chunked"}).status == 501


def test_a_body_that_is_no_json_is_told(browser):
    """The reply says so, and the server goes on."""
    origin = {"Origin": f"http://127.0.0.1:{browser.port}", "Content-Type": "application/json"}
    assert browser.send("POST", "/api/edit", headers=origin, body=b"{").status == 400
    assert browser.send("POST", "/api/edit", headers=origin, body=b"[" * 100_000).status == 400
    assert browser.get("/api/runs").status == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(browser, method):
    """No preflight is answered, so no other site is let in."""
    assert browser.send(method, "/api/runs").status == 405


@pytest.mark.parametrize("path", ["/", "/runs", "/api/runs", "/api/nothing", "/static/main.js"])
def test_every_reply_forbids_scripts_of_others(browser, path):
    """Policy, nosniff and no leave for other origins are on every reply."""
    headers = browser.get(path, Origin="http://evil.example").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["connect-src"]) == ("'none'", "'self'", "'self'")
    assert (policy["style-src"], policy["img-src"]) == ("'self'", "'self' data:")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["../server.py", "..%2fserver.py", "/etc/passwd", "vendor/../../guard.py", ""])
def test_no_path_leads_out_of_the_static_folder(browser, path):
    """Only files of the page are served."""
    assert browser.get(f"/static/{path}").status == 404


def test_a_request_that_trickles_in_ends(lake, monkeypatch):
    """A client that sends a byte now and then does not hold its thread for ever."""
    monkeypatch.setattr(http_handler, "IDLE_SECONDS", 0.3)
    with (
        serve(lake) as server,
        socket.create_connection(("127.0.0.1", server.port)) as client,
        pytest.raises(OSError, match=r"."),
    ):
        for _ in range(1_200):
            client.sendall(b"G")
            time.sleep(0.05)


@pytest.mark.parametrize("request_", [b"nonsense\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
def test_nonsense_is_answered_like_everything_else(server, request_):
    """What is no request gets an error under the same policy, and no page of HTML."""
    answer = spoken(server.port, request_)
    assert answer.startswith(b"HTTP/1.1 ") or b'"error"' in answer
    assert b"<" not in answer


def test_a_client_that_does_not_read_is_let_go(lake, enter, monkeypatch):
    """An answer that nobody takes does not hold its thread for ever."""
    monkeypatch.setattr(http_handler, "WRITE_SECONDS", 0.3)
    with serve(lake) as server, socket.socket() as client:
        browser = enter(server)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        target = "/api/ask?sql=SELECT+repeat('x',20000)+AS+x+FROM+range(1000)"
        head = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nCookie: {browser.cookie}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1, socket.MSG_PEEK)  # it has begun to answer
        wait_for_connections(server, 0)
        assert browser.get("/api/changes").status == 200


def test_too_many_connections_are_sent_away(lake, monkeypatch):
    """Beyond the limit a connection is told to come later; when one ends there is room again."""
    monkeypatch.setattr(server_module, "CONNECTIONS", 2)
    with serve(lake) as server:
        clients = [socket.create_connection(("127.0.0.1", server.port), timeout=60) for _ in range(2)]
        wait_for_connections(server, 2)
        assert b" 503 " in spoken(server.port, b"")
        for client in clients:
            client.close()
        wait_for_connections(server, 0)
        assert b" 503 " not in spoken(server.port, b"GET / HTTP/1.1\r\n\r\n")


def wait_for_connections(server: Server, number: int) -> None:
    """Wait until a server has so many connections; a closed one makes room for another when it is none any more."""
    deadline = time.monotonic() + 60
    while len(server._open) != number or server._room._value != server_module.CONNECTIONS - number:
        assert time.monotonic() < deadline, f"{len(server._open)} connections"
        time.sleep(0.02)


def test_small_answers_are_sent_at_once(lake):
    """No answer waits until a packet is full: Nagle's algorithm is off on each connection."""
    with serve(lake) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert client.recv(65536)
        (connection,) = server._open
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_that_is_taken_is_told(server, lake):
    """The error names the port and the way out."""
    with pytest.raises(tl.TracklakeError, match=f"port {server.port} .* give another"):
        serve(lake, port=server.port)


def spoken(port: int, request: bytes) -> bytes:
    """Send bytes as they are, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return answer


def post(browser) -> str:
    """The head of a POST that is in order, but for its length."""
    here = f"127.0.0.1:{browser.port}"
    head = f"POST /api/edit HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\nCookie: {browser.cookie}\r\n"
    return f"{head}Content-Type: application/json\r\n"

"""Requests that two servers could read in two ways: each gets one answer, 400, and the connection ends."""

from __future__ import annotations

import re
import socket

import pytest

from stemwright.api.app import create_app
from stemwright.cli.serve import uvicorn_config
from tests.api.conftest import Server
from tests.api.raw_requests import everything

NEXT = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
"""The request that is smuggled in behind the first."""

NO_KEY = b"POST /v1/separations HTTP/1.1\r\nHost: x\r\n"
POST = NO_KEY + b"Authorization: Bearer KEY\r\n"
"""With a key the route waits for the whole body, so that what is wrong with it comes before the answer."""

CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    # a length and a coding, or more than one of either
    "length and chunked, by length": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}",
    "a list of equal lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 0\r\n\r\n{}",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked, then identity": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    # lengths
    "+5": POST + b"Content-Length: +2\r\n\r\n{}",
    "-5": POST + b"Content-Length: -2\r\n\r\n{}",
    "0x5": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "5.0": POST + b"Content-Length: 2.0\r\n\r\n{}",
    "5_0": POST + b"Content-Length: 0_2\r\n\r\n{}",
    "an empty length": POST + b"Content-Length: \r\n\r\n",
    "a length of other digits": POST + "Content-Length: ²\r\n\r\n".encode("latin-1"),
    "a length in two parts": POST + b"Content-Length: 0 2\r\n\r\n{}",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "a length with a NUL": POST + b"Content-Length: 2\0\r\n\r\n{}",
    # codings
    "chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity, chunked": POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n",
    "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunkedx": POST + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n",
    "quoted": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "an empty coding": POST + b"Transfer-Encoding:\r\n\r\n",
    "a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    # names
    "a space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "a tab before the colon": POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    "no colon": POST + b"Content-Length\r\n\r\n",
    "no name": POST + b": 2\r\n\r\n",
    "a NUL in a name": POST + b"Content-\0Length: 2\r\n\r\n{}",
    "a name beyond ASCII": POST + b"Content-Length\xa0: 2\r\n\r\n{}",
    # lines
    "bare LF all over": b"GET /livez HTTP/1.1\nHost: x\n\n",
    "bare LF after the request line": b"GET /livez HTTP/1.1\nHost: x\r\n\r\n",
    "bare LF after a header": b"GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "bare LF before the empty line": b"GET /livez HTTP/1.1\r\nHost: x\n\r\n",
    "bare LF as the empty line": b"GET /livez HTTP/1.1\r\nHost: x\r\n\n",
    "bare LF before the request": b"\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "bare CR after the request line": b"GET /livez HTTP/1.1\rHost: x\r\n\r\n",
    "bare CR in a value": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\rContent-Length: 5\r\n\r\n",
    "CR CR LF": b"GET /livez HTTP/1.1\r\nHost: x\r\r\n\r\n",
    "bare CR as the empty line": b"GET /livez HTTP/1.1\r\nHost: x\r\n\rX",
    "an empty line first": b"\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "folded with a space": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded with a tab": POST + b"X: a\r\n\tContent-Length: 2\r\n\r\n{}",
    "folded first": b"GET /livez HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n",
    "a NUL in a value": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    "a control character in a value": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: a\x01b\r\n\r\n",
    # chunks
    "a signed chunk": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk in 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk with an extension": CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "a chunk with an extension and bare LF": CHUNKED + b"2;a\n\r\n{}\r\n0\r\n\r\n",
    "a chunk and a space": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a chunk with an underscore": CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a chunk of many zeros": CHUNKED + b"0" * 64 + b"2\r\n{}\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk that ends with LF": CHUNKED + b"2\n{}\n0\n\n",
    "a chunk without its line end": CHUNKED + b"2\r\n{}XX0\r\n\r\n",
    "a chunk that ends early": CHUNKED + b"3\r\n{}\r\n0\r\n\r\n",
    "trailers with bare LF": CHUNKED + b"2\r\n{}\r\n0\r\nX: y\n\r\n",
    "folded trailers": CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailers that are none": CHUNKED + b"2\r\n{}\r\n0\r\nGET /livez HTTP/1.1\r\n\r\n",
    "trailers too large": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    # hosts
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "two equal hosts": b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /livez HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
    "a host with a path": b"GET /livez HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a host with a user": b"GET /livez HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a host with a space": b"GET /livez HTTP/1.1\r\nHost: x y\r\n\r\n",
    # request lines
    "an absolute target": b"GET http://x/livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "an absolute target elsewhere": b"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "CONNECT to a path": b"CONNECT livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "an asterisk": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a relative target": b"GET livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab": b"GET\t/livez\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "a space at the end": b"GET /livez HTTP/1.1 \r\nHost: x\r\n\r\n",
    "a space at the start": b" GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target with a NUL": b"GET /livez\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target beyond ASCII": b"GET /livez\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/2.0": b"GET /livez HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/1.2": b"GET /livez HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "http in small letters": b"GET /livez http/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(40),
    # sizes
    "a head too large": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
    "a header too large": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "a target too large": b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a head without end": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000,
}


def with_key(server: Server, request_: bytes) -> bytes:
    return request_.replace(b"KEY", server.key.encode())


def sent(server: Server, *pieces: bytes) -> bytes:
    """What comes back on one connection until the server ends it; pieces are sent one after the other."""
    with socket.create_connection(("127.0.0.1", server.service.settings.port), timeout=240) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        return everything(connection)


def statuses(reply: bytes) -> list[bytes]:
    """The statuses of all answers in what came back."""
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", reply)


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_has_one_answer_and_ends(shared: Server, request_: bytes) -> None:
    reply = sent(shared, with_key(shared, request_) + NEXT + NEXT)
    assert statuses(reply) == [b"400"], reply
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert body.endswith(b".\n") and body.count(b"\n") == 1


@pytest.mark.parametrize("request_", [one for one in REFUSED.values() if len(one) < 300])
def test_it_is_so_whatever_the_pieces_that_arrive(shared: Server, request_: bytes) -> None:
    whole = with_key(shared, request_) + NEXT
    assert statuses(sent(shared, *(whole[place : place + 1] for place in range(len(whole))))) == [b"400"]


@pytest.mark.parametrize("name", ["two lengths", "bare LF all over", "a chunk with an extension", "CONNECT"])
def test_a_request_before_it_is_answered_first(shared: Server, name: str) -> None:
    assert statuses(sent(shared, NEXT + NEXT + with_key(shared, REFUSED[name]) + NEXT)) == [b"200", b"200", b"400"]


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "upgrade alone": b"Upgrade: TLS/1.0\r\n",
}


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_is_answered_without_one_and_ends(shared: Server, headers: bytes) -> None:
    reply = sent(shared, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + NEXT)
    assert statuses(reply) == [b"200"]
    assert b"connection: close" in reply.lower()


def test_plain_requests_of_every_form_are_taken(shared: Server) -> None:
    key = b"Authorization: Bearer " + shared.key.encode() + b"\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    url = b'{"url": "https://example.com/song.mp3"}'
    halves = b"5\r\n%b\r\n%X\r\n%b\r\n0\r\nX-Checksum: 7\r\n\r\n" % (url[:5], len(url) - 5, url[5:])
    tracks = b"POST /v1/tracks HTTP/1.1\r\nHost: [::1]:8000\r\n" + key
    for size in (1, 7, 100_000):
        stream = b"".join(
            [
                tracks + b"Content-Length: %d\r\n\r\n" % len(url) + url,
                tracks + b"transfer-encoding:Chunked  \r\n\r\n" + halves,
                b"OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
                b"GET /livez HTTP/1.1\r\nhOsT:\tx \r\nX:\r\nX: \xe9 y\r\n\r\n",
                last,
            ]
        )
        reply = sent(shared, *(stream[place : place + size] for place in range(0, len(stream), size)))
        assert statuses(reply) == [b"201", b"201", b"404", b"200", b"200"], reply
    assert statuses(sent(shared, b"GET /livez HTTP/1.0\r\n\r\n" + NEXT)) == [b"200"]


def test_a_body_is_never_taken_for_a_request(shared: Server) -> None:
    """The route answers before it has read the body; what is left of it is no request."""
    body = NEXT * 3
    refused = NO_KEY + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = NO_KEY + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert statuses(sent(shared, refused + chunked + last)) == [b"401", b"401", b"200"]


def test_a_body_that_is_spoilt_after_the_answer_ends_the_connection(shared: Server) -> None:
    with socket.create_connection(("127.0.0.1", shared.service.settings.port), timeout=240) as connection:
        connection.sendall(NO_KEY + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}")
        reply = b""
        while not reply.endswith(b"}"):
            reply += connection.recv(65_536)
        connection.sendall(b"XX0\r\n\r\n" + NEXT)
        assert everything(connection) == b""
    assert statuses(reply) == [b"401"]


def test_the_server_takes_this_protocol_and_no_other(shared: Server) -> None:
    """``stemwright serve`` names it; tests of the whole process are in ``tests/cli``."""
    config = uvicorn_config(shared.service.settings, create_app(shared.service))
    config.load()
    assert config.http_protocol_class.__module__ == "stemwright.api.http_protocol"
    assert config.ws_protocol_class is None

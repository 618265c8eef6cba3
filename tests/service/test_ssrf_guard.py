"""The guard: what is no URL, what leads inwards, and what is let through."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.service.errors import InvalidRequest, SourceUnavailable, UrlRefused
from stemwright.service.ip_addresses import is_public
from stemwright.service.ssrf_guard import SsrfGuard, check_syntax, parse_url
from stemwright.settings import read_settings

PUBLIC = "93.184.216.34"
PUBLIC_V6 = "2606:2800:220:1:248:1893:25c8:1946"

MALFORMED = [
    "",
    "   ",
    None,
    7,
    ["https://example.com"],
    "example.com/song.mp3",
    "//example.com/song.mp3",
    "ftp://example.com/song.mp3",
    "file:///etc/passwd",
    "gopher://example.com/",
    "data:audio/wav;base64,AAAA",
    "javascript:alert(1)",
    "http://",
    "http:///song.mp3",
    "http:song.mp3",
    "http://exa mple.com/",
    "http://a..b/",
    "http://.example.com/",
    "http://*.example.com/",
    "http://-a.example.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + ".".join(["a" * 60] * 5) + "/",
    "http://example.com:99999/",
    "http://example.com:0/",
    "http://example.com:-1/",
    "http://example.com:http/",
    "http://[::1/",
    "http://[v1.a]/",
    "http://256.1.1.1/",
    "http://0177.0.0.1/",
    "http://127%2e0%2e0%2e1/",
    "http://①②⑦.0.0.1/",
    "http://😀.example/",
    "http://example.com/\ud800",
    "http://example.com/a\nb",
    "http://example.com/a\0b",
    "https://example.com/" + "a" * 5000,
]


@pytest.mark.parametrize("url", MALFORMED, ids=lambda url: ascii(url)[:40])
def test_what_is_no_url_is_told_at_once(url: object) -> None:
    with pytest.raises(InvalidRequest, match="callBackUrl must be a whole http:// or https:// URL") as caught:
        check_syntax(url, "callBackUrl")
    assert caught.value.field == "callBackUrl"
    assert caught.value.code == 422


@pytest.mark.parametrize(
    "url",
    [
        "https://noop",
        "https://example.com/cb",
        "http://example.com:8080/song.mp3?a=b&c=d#e",
        "HTTPS://EXAMPLE.COM/",
        "https://bücher.example/lied.mp3",
        "https://my_bucket.example.com/a b.mp3",
        "http://10.0.0.1/",
        "http://[::1]:9000/",
        "http://2130706433/",
        "http://user:password@example.com/",
    ],
)
def test_well_formed_urls_are_taken_wherever_they_lead(url: str) -> None:
    check_syntax(url)


def test_a_url_is_taken_apart() -> None:
    destination = parse_url("https://Bücher.Example.:8443/ü?x=1#part")
    assert (destination.scheme, destination.host, destination.port) == ("https", "xn--bcher-kva.example", 8443)
    assert destination.target == b"/%C3%BC?x=1"
    assert destination.authority == "xn--bcher-kva.example:8443"
    assert parse_url("http://[2606:2800::1]/").authority == "[2606:2800::1]"
    assert parse_url("http://127。0。0。1/").host == "127.0.0.1"  # a dot of another script is a dot


INNER = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # a cloud's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",  # another cloud's
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # IPv4-compatible
    "::ffff:127.0.0.1",  # IPv4-mapped
    "::ffff:169.254.169.254",
    "::ffff:93.184.216.34",
    "64:ff9b::7f00:1",  # NAT64
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",  # Teredo
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",  # 6to4
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused_as_literals_and_behind_names(address: str) -> None:
    guard = SsrfGuard(read_settings(host="0.0.0.0"), lambda _host, _port: [address])
    assert not is_public(ip_address(address))
    for host in (address, "innocent.example"):
        with pytest.raises(UrlRefused, match="not public"):
            guard.addresses(host, 80, 1.0)


@pytest.mark.parametrize("address", [PUBLIC, PUBLIC_V6, "1.1.1.1", "172.32.0.1", "100.128.0.1", "2a00:1450::1"])
def test_outer_addresses_are_let_through(address: str) -> None:
    guard = SsrfGuard(read_settings(), lambda _host, _port: [address])
    assert guard.addresses("example.com", 443, 1.0) == [address]
    assert guard.addresses(address, 443, 1.0) == [address]


@given(st.ip_addresses())
def test_our_lists_are_no_laxer_than_pythons(address: object) -> None:
    parsed = ip_address(str(address))
    if is_public(parsed):
        assert parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not parsed.is_loopback


def test_one_inner_address_among_outer_ones_refuses_the_host() -> None:
    guard = SsrfGuard(read_settings(host="0.0.0.0"), lambda _host, _port: [PUBLIC, "10.0.0.1"])
    with pytest.raises(UrlRefused):
        guard.addresses("mixed.example", 80, 1.0)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user@example.com/", "user name or a password"),
        ("http://user:secret@example.com/", "user name or a password"),
        ("http://a\\@example.com/", "user name or a password"),
        ("http://example.com:22/", "port 22"),
        ("http://example.com:25/", "port 25"),
        ("http://example.com:6000/", "port 6000"),
        ("http://2130706433/", "looks like an IP address"),
        ("http://0x7f000001/", "looks like an IP address"),
        ("http://0x7f.1/", "looks like an IP address"),
        ("http://127.1/", "looks like an IP address"),
        ("http://017700000001/", "looks like an IP address"),
        ("http://1.2.3.4.5/", "looks like an IP address"),
    ],
)
def test_what_is_refused_before_any_look_up(url: str, words: str) -> None:
    with pytest.raises(UrlRefused, match=words) as caught:
        SsrfGuard(read_settings()).check(parse_url(url))
    assert caught.value.code == 451
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8080, 8443, 65535])
def test_ports_of_web_servers_are_let_through(port: int) -> None:
    SsrfGuard(read_settings()).check(parse_url(f"http://example.com:{port}/"))


def test_a_trailing_dot_changes_nothing() -> None:
    guard = SsrfGuard(
        read_settings(host="0.0.0.0", allowed_hosts=("inner.example",)), lambda _host, _port: ["127.0.0.1"]
    )
    assert guard.addresses(parse_url("http://inner.example./").host, 80, 1.0) == ["127.0.0.1"]
    with pytest.raises(UrlRefused):
        guard.addresses(parse_url("http://127.0.0.1./").host, 80, 1.0)
    with pytest.raises(UrlRefused):
        guard.addresses(parse_url("http://localhost./").host, 80, 1.0)


def test_named_hosts_may_have_any_address_and_port() -> None:
    settings = read_settings(host="0.0.0.0", allowed_hosts=("MinIO.internal", "10.0.0.5", "[fd00::5]"))
    guard = SsrfGuard(settings, lambda _host, _port: ["10.0.0.1"])
    guard.check(parse_url("http://user:key@minio.internal:81/song.mp3"))
    assert guard.addresses("minio.internal", 81, 1.0) == ["10.0.0.1"]
    assert guard.addresses("10.0.0.5", 80, 1.0) == ["10.0.0.5"]
    assert guard.addresses("fd00::5", 80, 1.0) == ["fd00::5"]
    for other in ("other.internal", "a.minio.internal", "10.0.0.1"):
        with pytest.raises(UrlRefused):
            guard.addresses(other, 80, 1.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_is_allowed_while_the_server_is_alone_with_it(host: str) -> None:
    guard = SsrfGuard(read_settings(host=host), lambda _host, _port: ["127.0.0.1"])
    assert guard.addresses("localhost", 8080, 1.0) == ["127.0.0.1"]
    assert guard.addresses("::1", 8080, 1.0) == ["::1"]
    for inner in ("10.0.0.1", "169.254.169.254", "0.0.0.0", "::ffff:10.0.0.1"):
        with pytest.raises(UrlRefused):
            guard.addresses(inner, 80, 1.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "192.168.1.10"},
        {"public_url": "https://stems.example.org"},
        {"trusted_proxies": ("127.0.0.1",)},
    ],
)
def test_loopback_is_refused_where_others_reach_the_server(settings: dict[str, object]) -> None:
    with pytest.raises(UrlRefused):
        SsrfGuard(read_settings(**settings)).addresses("127.0.0.1", 8080, 1.0)


def test_offline_goes_nowhere() -> None:
    guard = SsrfGuard(read_settings(offline=True, allowed_hosts=("example.com",)))
    with pytest.raises(UrlRefused, match="STEMWRIGHT_OFFLINE"):
        guard.check(parse_url("https://example.com/"))


def test_unknown_hosts_are_told() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    with pytest.raises(SourceUnavailable, match=r"nowhere\.invalid is not known") as caught:
        SsrfGuard(read_settings(), unknown).addresses("nowhere.invalid", 80, 1.0)
    assert not isinstance(caught.value, UrlRefused)
    with pytest.raises(SourceUnavailable, match="has no address"):
        SsrfGuard(read_settings(), lambda _host, _port: []).addresses("empty.example", 80, 1.0)


def test_a_slow_resolver_is_not_waited_for() -> None:
    done = threading.Event()

    def slow(_host: str, _port: int) -> Sequence[str]:
        done.wait()
        return [PUBLIC]

    try:
        with pytest.raises(SourceUnavailable, match="not found in time"):
            SsrfGuard(read_settings(), slow).addresses("slow.example", 80, 0.05)
    finally:
        done.set()


def test_whatever_the_resolver_says_is_judged() -> None:
    with pytest.raises(UrlRefused):
        SsrfGuard(read_settings(), lambda _host, _port: ["not an address"]).addresses("odd.example", 80, 1.0)

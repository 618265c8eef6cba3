"""Signed links to files: the holder can GET the file until the link expires."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from stemwright.service.clock import Clock
from stemwright.service.ids import dashed, parse_id
from stemwright.service.media_types import extension_of
from stemwright.service.task import Stem, Task
from stemwright.service.tracks import Track
from stemwright.service.uploads import Upload
from stemwright.wire_names import wire_name

Kind = Literal["stem", "track", "upload", "put"]

_LETTERS: dict[Kind, str] = {"stem": "s", "track": "t", "upload": "u", "put": "p"}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_LINK = re.compile(r"/([stup])/([1-9][0-9]{0,11})-([0-9a-f]{64})/(.+)", re.DOTALL | re.ASCII)


@dataclass(frozen=True)
class Link:
    """Content of a link.

    Attributes:
        kind: type of record; ``put`` is an upload that may be written.
        id: 32 hex digits, of a stem, a track or an upload.
        account_id: owner of the track; None for other kinds, whose ids are unique.
        name: last part of the path.
        expires_at: whole seconds since 1970.
    """

    kind: Kind
    id: str
    account_id: str | None
    name: str
    expires_at: int


class Links:
    """Creates and reads links. Links are deterministic, so every poll returns the same URL."""

    def __init__(self, public_base: str | Callable[[], str], secret: bytes, clock: Clock = time.time) -> None:
        self._public_base = public_base
        self._secret = secret
        self._clock = clock

    def stem_url(self, stem: Stem, task: Task, base: str | None = None) -> str:
        """Returns ``…/s/<expiry>-<signature>/<id>_Backing_Vocals.mp3``, valid as long as the task is kept."""
        name = f"{dashed(stem.id)}_{wire_name(stem.name).label}.{stem.format}"
        return self._url("stem", name, task.expires_at, base)

    def track_url(self, track: Track, base: str | None = None) -> str:
        """Returns ``…/t/<expiry>-<signature>/<account>/<id>.mp3``, valid as long as the track is kept."""
        extension = (track.file_name or "").rpartition(".")[2].lower()
        if not re.fullmatch(r"[a-z0-9]{1,5}", extension):
            extension = extension_of(track.media_type)
        return self._url("track", f"{track.account_id}/{dashed(track.id)}.{extension}", track.expires_at, base)

    def upload_url(self, upload: Upload, base: str | None = None) -> str:
        """Returns ``…/u/<expiry>-<signature>/<id>/<path>``, valid as long as the upload is kept."""
        return self._url("upload", f"{dashed(upload.id)}/{upload.path}", upload.expires_at, base)

    def put_url(self, upload: Upload, seconds: float, base: str | None = None) -> str:
        """Returns ``…/p/<expiry>-<signature>/<id>/<path>``, to PUT the file of a reserved upload."""
        expires_at = min(self._clock() + seconds, upload.expires_at)
        return self._url("put", f"{dashed(upload.id)}/{upload.path}", expires_at, base)

    def temporary(self, url: str, seconds: float, base: str | None = None) -> str | None:
        """Returns a link to the same file, valid for ``seconds`` but no longer than ``url``; None if not ours.

        None for an upload link with write access too.
        """
        link = self.resolve(url)
        if link is None or link.kind == "put":
            return None
        match = _search(url)
        assert match is not None
        return self._url(link.kind, match[4], min(self._clock() + seconds, link.expires_at), base)

    def resolve(self, url: str) -> Link | None:
        """Returns the link in a path or URL as clients write it; None if it is not ours or has expired.

        Only the signature counts: the server may have several host names.
        """
        match = _search(url)
        link = self._read(match) if match is not None else None
        return link if link is not None and not self.has_expired(link) else None

    def is_ours(self, url: str) -> bool:
        """Whether a URL lies under this server's own address, valid or not."""
        base = self._public_base if isinstance(self._public_base, str) else self._public_base()
        try:
            mine, theirs = urlsplit(base), urlsplit(url)
            same = (mine.scheme, mine.hostname, mine.port) == (theirs.scheme.lower(), theirs.hostname, theirs.port)
        except ValueError:
            return False
        return same and theirs.path.startswith(mine.path)

    def read(self, path: str) -> Link | None:
        """Returns the link in an unquoted request path, expired or not; None if the signature is invalid."""
        match = _LINK.fullmatch(path)
        return self._read(match) if match is not None else None

    def has_expired(self, link: Link) -> bool:
        """Whether the link has expired."""
        return self._clock() >= link.expires_at

    def _read(self, match: re.Match[str]) -> Link | None:
        letter, expiry, signature, name = match.groups()
        if not hmac.compare_digest(signature, self._sign(letter, expiry, name)):
            return None
        kind = _KINDS[letter]
        if kind == "stem":
            found, account_id = name.partition("_")[0], None
        elif kind == "track":
            account_id, _, last = name.partition("/")
            found = last.partition(".")[0]
        else:
            found, account_id = name.partition("/")[0], None
        thing = parse_id(found)
        assert thing is not None, "we signed a link without an id"
        return Link(kind, thing, account_id, name.rpartition("/")[2], int(expiry))

    def _url(self, kind: Kind, name: str, expires_at: float, base: str | None) -> str:
        letter, expiry = _LETTERS[kind], str(max(1, int(expires_at)))
        if base is None:
            base = self._public_base if isinstance(self._public_base, str) else self._public_base()
        return f"{base.rstrip('/')}/{letter}/{expiry}-{self._sign(letter, expiry, name)}/{quote(name)}"

    def _sign(self, letter: str, expiry: str, name: str) -> str:
        text = f"{letter}/{expiry}/{name}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()


def _search(url: str) -> re.Match[str] | None:
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return None
    return _LINK.search(path)

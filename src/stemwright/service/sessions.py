"""Sessions of browsers, and the one-time link that opens the first one.

A session is a signed token that names a key. Nothing is stored for it, and it ends when the key is revoked.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service import server_state
from stemwright.service.clock import Clock
from stemwright.service.errors import LinkUsed, NotAuthenticated
from stemwright.service.keys import NO_ACCESS, Caller, Keys

SESSION_S = 30 * 86400.0
SECRET = "session_secret"
OPENING = "one_time_link"
"""Name of the fact with the digest of the one-time link and the id of its key."""

_TOKEN = re.compile(r"([0-9a-f]{32})\.([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Session:
    """A session that was just opened.

    Attributes:
        token: the value of the cookie.
        expires_at: whole seconds since 1970.
        caller: account and permissions of its key.
    """

    token: str
    expires_at: int
    caller: Caller


class Sessions:
    """All sessions of the server."""

    def __init__(self, database: Database, keys: Keys, clock: Clock = time.time) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._secret = server_state.secret(database, SECRET)
        self.server_mark = self._hmac("mark")[:8]
        """Tells this server from others; not secret."""

    def open(self, caller: Caller) -> Session:
        """Opens a session for a key."""
        expires_at = int(self._clock() + SESSION_S)
        return Session(f"{caller.key_id}.{expires_at}.{self._sign(caller.key_id, expires_at)}", expires_at, caller)

    def caller(self, token: str) -> Caller:
        """Returns the caller that a session belongs to.

        Raises:
            NotAuthenticated: the token is not ours, has expired, or its key is revoked.
        """
        match = _TOKEN.fullmatch(token)
        if match is not None:
            key_id, expires_at = match[1], int(match[2])
            is_ours = hmac.compare_digest(match[3], self._sign(key_id, expires_at))
            if is_ours and self._clock() < expires_at:
                return self._keys.caller_of(key_id)
        raise NotAuthenticated(NO_ACCESS)

    def one_time_token(self, key_name: str) -> str | None:
        """Returns a token that opens one session for an active key, in place of any earlier one; None without the key."""
        token = secrets.token_urlsafe(24)
        with self._database.write() as session:
            key_id = self._keys.id_of(session, key_name)
            if key_id is not None:
                server_state.put(session, OPENING, f"{_digest(token)} {key_id}")
        return token if key_id is not None else None

    def redeem(self, token: str) -> Session:
        """Opens a session with a one-time token, which is then used up.

        Raises:
            LinkUsed: it was used, or a later start of the server replaced it.
            NotAuthenticated: its key is revoked.
        """
        with self._database.write() as session:
            fact = session.get(tables.Fact, OPENING, with_for_update=True)
            digest, _, key_id = fact.value.partition(" ") if fact is not None else ("", "", "")
            if fact is None or not hmac.compare_digest(digest, _digest(token)):
                raise LinkUsed(
                    "This link was used, or is an earlier one: take the one that the last start printed, or use a key."
                )
            session.delete(fact)
        return self.open(self._keys.caller_of(key_id))

    def _sign(self, key_id: str, expires_at: int) -> str:
        return self._hmac(f"session/{key_id}/{expires_at}")

    def _hmac(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

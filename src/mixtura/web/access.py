"""The secrets of one server: a token that opens the page once, a cookie for later requests, a key
that scripts must send.

Each of the three prevents another attack. The token is in a link, and links are kept in browser
histories, so it works once. The browser sends the cookie by itself, also to other local servers,
since cookies do not depend on the port. The key is never sent by the browser itself: the script of
the page reads it once, from the page that the token opened, and sends it with each call. Another
page cannot read it, and a leaked cookie is useless without it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class Access:
    """The secrets of one server, and their checks.

    Attributes
    ----------
    port : int
        The port of the server; until it is set, it is 0 and no request is accepted.
    token : str
        Part of the link that the terminal shows; empty once it was used.
    cookie, key : str
        What the page receives in exchange for the token.
    """

    port: int = 0
    token: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    key: str = field(default_factory=_secret)

    @property
    def hosts(self) -> frozenset[str]:
        """The accepted values of the header Host."""
        return (
            frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})
            if self.port
            else frozenset()
        )

    @property
    def link(self) -> str:
        """The link that the user opens; it works once."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie_name(self) -> str:
        """Contains the port, so that two servers do not overwrite each other's cookie."""
        return f"mixtura_{self.port}"

    def exchange(self, token: str) -> bool:
        """Whether the token is right and unused; it is used up by this call."""
        right = bool(self.token) and _same(token, self.token)
        if right:
            self.token = ""
        return right

    def knows_cookie(self, value: str) -> bool:
        """Whether this is the cookie of this server."""
        return _same(value, self.cookie)

    def knows_key(self, value: str) -> bool:
        """Whether this is the key of this server."""
        return _same(value, self.key)


def _same(given: str, secret: str) -> bool:
    """A comparison in constant time."""
    return secrets.compare_digest(given.encode(), secret.encode())

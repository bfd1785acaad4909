"""The secrets of one server: a token that opens the page once, a cookie that goes on from there, a
key that scripts must send.

Three, because each stops something else. The token is in a link, and links leak into histories, so
it works once. The cookie is sent by the browser itself, also to other programs that listen on this
machine, as cookies know no ports. The key never travels with the browser's own requests: the page's
script reads it once, from the page that the token opened, and sends it with each call; another page
cannot read it, and a cookie that leaked is nothing without it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class Access:
    """Who may talk to one server.

    Attributes
    ----------
    port : int
        Where the server listens; 0 until it does, and then nobody gets in.
    token : str
        In the link that is shown in the terminal; empty once it was used.
    cookie, key : str
        What the page gets in exchange.
    """

    port: int = 0
    token: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    key: str = field(default_factory=_secret)

    @property
    def hosts(self) -> frozenset[str]:
        """The only values of the header Host that are answered."""
        return (
            frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})
            if self.port
            else frozenset()
        )

    @property
    def link(self) -> str:
        """What a person opens, once."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def cookie_name(self) -> str:
        """With the port in it, so that two servers do not overwrite each other's."""
        return f"mixtura_{self.port}"

    def exchange(self, token: str) -> bool:
        """Whether the token is the right one and was not used before; from now on it was."""
        right = bool(self.token) and _same(token, self.token)
        if right:
            self.token = ""
        return right

    def knows_cookie(self, value: str) -> bool:
        """Whether the browser shows the cookie it was given."""
        return _same(value, self.cookie)

    def knows_key(self, value: str) -> bool:
        """Whether a script shows the key it was given."""
        return _same(value, self.key)


def _same(came: str, secret: str) -> bool:
    """Compared in a time that tells nothing."""
    return secrets.compare_digest(came.encode(), secret.encode())

"""The static files that may be served: listed when the server starts, so that no request can name
another file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
"""Media types by file ending; a file with another ending is not served."""


def servable_files(folders: Mapping[str, Path]) -> dict[str, Path]:
    """Name in the address (``explore/page.js``) and path, for every file of these types in the
    folders.
    """
    return dict(
        sorted(pair for prefix, folder in folders.items() for pair in _files(prefix, folder))
    )


def _files(prefix: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.suffix in MEDIA_TYPES and path.is_file() and not path.is_symlink():
            yield f"{prefix}/{path.relative_to(folder).as_posix()}", path


class StaticFileEndpoint:
    """The endpoint of the static files, by exact name."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def __call__(self, request: Request) -> Response:
        """The file of that name, or 404."""
        path = self.files.get(request.path_params["name"])
        if path is None:
            return PlainTextResponse("there is no such file.\n", 404)
        return Response(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix])

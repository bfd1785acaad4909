"""The order of the gallery, and the pictures that its scripts save, which need no pyplot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sphinx_gallery.scrapers import figure_rst

FORMATS = (".gif", ".png")
ORDER = (
    "old_faithful",
    "acidity",
    "iris",
    "wine",
    "em_steps",
    "starts",
    "choosing_k",
    "families",
    "certainty",
    "merging",
    "methods",
    "anomalies",
    "million",
    "stream",
)


class Order:
    """The key of a script: its place in the list above."""

    def __init__(self, _folder: str) -> None:
        pass

    def __call__(self, script: str) -> int:
        """Its number."""
        return ORDER.index(script.removesuffix(".py"))


def saved(_block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move the pictures beside a script to the gallery."""
    moved = []
    for file in sorted(Path(block_vars["src_file"]).parent.iterdir()):
        if file.suffix in FORMATS:
            moved.append(Path(next(block_vars["image_path_iterator"])).with_suffix(file.suffix))
            shutil.move(file, moved[-1])
    return figure_rst([str(file) for file in moved], gallery_conf["src_dir"])


def _get_sg_image_scraper() -> Callable[..., str]:
    """For Sphinx-Gallery."""
    return saved

"""A page that plays frames: one file that loads nothing, with a policy that forbids loading."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from io import BytesIO

from PIL import Image

FRAME_COLOURS = 96
"""Size of a frame's palette."""


def player(
    title: str, frames: Sequence[Image.Image], captions: Sequence[str], seconds: float
) -> str:
    """The page: an image, its caption, buttons and a slider.

    The left and right arrow keys go back and forward, the space bar plays.
    """
    script = _SCRIPT.replace("PAUSE", str(int(1000 * seconds)))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    strips = "".join(
        f'<img src="{_data_uri(frame)}" alt="{escape(caption)}" {"" if i == 0 else "hidden"}>'
        for i, (frame, caption) in enumerate(zip(frames, captions, strict=True))
    )
    return (
        _PAGE.replace("DIGEST", digest)
        .replace("TITLE", escape(title))
        .replace("LAST", str(len(frames) - 1))
        .replace("SCRIPT", script)
        .replace("FRAMES", strips)
    )


def _data_uri(frame: Image.Image) -> str:
    """A frame as PNG inside the page."""
    stream = BytesIO()
    frame.quantize(FRAME_COLOURS, method=Image.Quantize.MEDIANCUT).save(
        stream, format="PNG", optimize=True
    )
    return "data:image/png;base64," + b64encode(stream.getvalue()).decode()


_SCRIPT = """
const frames = [...document.querySelectorAll("#frames img")];
const slider = document.getElementById("slider"), play = document.getElementById("play");
const said = document.getElementById("said");
let at = 0, timer = null;
function show(number) {
  at = Math.max(0, Math.min(frames.length - 1, number));
  frames.forEach((frame, i) => { frame.hidden = i !== at; });
  slider.value = at;
  said.textContent = frames[at].alt;
}
function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
function start() {
  if (at === frames.length - 1) show(0);
  play.textContent = "Pause";
  timer = setInterval(() => { if (at === frames.length - 1) stop(); else show(at + 1); }, PAUSE);
}
function toggle() { if (timer) stop(); else start(); }
function step(by) { stop(); show(at + by); }
play.addEventListener("click", toggle);
document.getElementById("back").addEventListener("click", () => step(-1));
document.getElementById("next").addEventListener("click", () => step(1));
document.getElementById("first").addEventListener("click", () => { stop(); show(0); });
slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
document.addEventListener("keydown", (event) => {
  const on = event.target.tagName;
  if (on === "INPUT" || (event.key === " " && on === "BUTTON")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
  if (event.key === " ") { event.preventDefault(); toggle(); }
});
show(0);
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) start();
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-DIGEST'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>TITLE</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.2rem; }
#frames { background: #fff; border-radius: 8px; overflow: hidden; }
#frames img { width: 100%; height: auto; }
#frames img:not([hidden]) { display: block; }
button { font: inherit; padding: .4rem .9rem; min-width: 4.5rem; }
#slider { width: 100%; }
</style>
</head>
<body>
<h1>TITLE</h1>
<div id="frames">FRAMES</div>
<p id="said" role="status"></p>
<p><label for="slider">Frame</label>
<input id="slider" type="range" min="0" max="LAST" value="0"></p>
<p><button id="first">Rewind</button> <button id="back">Back</button>
<button id="play">Play</button> <button id="next">Next</button></p>
<script>SCRIPT</script>
</body>
</html>
"""

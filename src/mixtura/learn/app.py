"""The server of the lesson: answers for the live parts, and the runs of the code cells."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mixtura.learn import demonstrations as live
from mixtura.learn.data_sets import FEWEST, data_set_of, number_of
from mixtura.learn.page import page
from mixtura.learn.sandbox import (
    CellEvent,
    CellRun,
    DrawnFigure,
    Ended,
    Limits,
    PrintedText,
    Reason,
    Started,
)
from mixtura.web.access import Access
from mixtura.web.server import LocalApp, secured

STATIC = Path(__file__).parent / "static"

MOST_CODE = 20_000
"""Largest number of characters in a code cell."""

JsonObject = dict[str, Any]


def lesson_app(access: Access | None = None, limits: Limits | None = None) -> LocalApp:
    """The lesson behind its guard."""
    cells = CodeCells(limits or Limits())
    routes = [
        Route(f"/api/{name}", _answering(answer), methods=["POST"])
        for name, answer in ANSWERS.items()
    ]
    routes += [
        Route("/api/run", cells.run, methods=["POST"]),
        Route("/api/stop", cells.stop, methods=["POST"]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        path.write_text(page(), encoding="utf-8")
        return secured(routes, path, static={"learn": STATIC}, access=access)


# ---- live parts ----------------------------------------------------------------------------------


def _answering(answer: Callable[[JsonObject], Any]) -> Callable[[Request], Any]:
    """An endpoint that answers one kind of question, one at a time, in a thread."""

    async def endpoint(request: Request) -> Response:
        question = await _question_of(request)
        return JSONResponse(
            _finite(await run_in_threadpool(lambda: _one_at_a_time(answer, question)))
        )

    return endpoint


_TURN = threading.Lock()


def _one_at_a_time(answer: Callable[[JsonObject], Any], question: JsonObject) -> Any:
    """Answer one question at a time: fits use all processors, and times must be comparable."""
    with _TURN:
        return answer(question)


async def _question_of(request: Request) -> JsonObject:
    try:
        question = await request.json()
    except ValueError:
        question = None
    if not isinstance(question, dict):
        raise ValueError(
            "a question must be a JSON object, but got something else. Reload the page."
        )
    return question


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite, which JSON does not have, by null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _rows_of(question: JsonObject) -> Any:
    return data_set_of(question.get("data")).rows


def _k_of(question: JsonObject, usual: int = 2) -> int:
    return int(number_of(question, "K", usual, 1, live.LARGEST_K))


def _data(question: JsonObject) -> Any:
    chosen = data_set_of(question.get("data"))
    return {"names": list(chosen.names), "rows": chosen.rows.tolist(), "fewest": FEWEST}


ANSWERS: dict[str, Callable[[JsonObject], Any]] = {
    "data": _data,
    "soft": lambda q: live.soft(_rows_of(q), _k_of(q)),
    "em": lambda q: live.em_steps(_rows_of(q), _k_of(q), int(number_of(q, "seed", 0, 0, 2**31))),
    "shapes": lambda q: live.shapes(_rows_of(q)),
    "speed": lambda q: live.speed(live.in_range(live.SPEED_ROWS, q.get("rows", 0), "rows")),
    "optima": lambda q: live.optima(_rows_of(q), _k_of(q, 4)),
    "criteria": lambda q: live.criteria(_rows_of(q)),
    "certainty": lambda q: live.uncertainty_of_k(_rows_of(q)),
    "comparison": lambda q: live.methods(_rows_of(q)),
}


# ---- code cells ----------------------------------------------------------------------------------


class CodeCells:
    """The one code cell that may run at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.running: CellRun | None = None
        self.lock = threading.Lock()

    async def run(self, request: Request) -> Response:
        """Run code on the reader's data; answer with its events as they come, one JSON per line."""
        question = await _question_of(request)
        code = question.get("code")
        if not isinstance(code, str) or len(code) > MOST_CODE:
            raise ValueError(
                f"code must be text of at most {MOST_CODE} characters, but got something else. "
                "Shorten it."
            )
        run = CellRun(code, {"data.csv": data_set_of(question.get("data")).csv}, self.limits)
        with self.lock:
            if self.running is not None:
                raise ValueError(
                    "another code cell is running, and only one can run at a time. Stop it, or "
                    "wait for its end."
                )
            self.running = run
        return StreamingResponse(self._events(run), media_type="application/x-ndjson")

    async def stop(self, _: Request) -> Response:
        """End the running cell, if there is one."""
        with self.lock:
            run = self.running
        if run is not None:
            run.stop()
        return JSONResponse({"stopped": run is not None})

    async def _events(self, run: CellRun) -> AsyncIterator[str]:
        """The events line by line.

        Closing the page ends the cell, also a silent one, since waiting in the queue is cancelled.
        """
        queue: asyncio.Queue[CellEvent] = asyncio.Queue()
        threading.Thread(
            target=_pump, args=(run, queue, asyncio.get_running_loop()), daemon=True
        ).start()
        try:
            while True:
                event = await queue.get()
                yield json.dumps(event_document(event)) + "\n"
                if isinstance(event, Ended):
                    break
        finally:
            run.stop()
            with self.lock:
                self.running = None


def _pump(run: CellRun, queue: asyncio.Queue[CellEvent], loop: asyncio.AbstractEventLoop) -> None:
    """Put the events of a run into the queue of the event loop; called in a thread."""
    with suppress(RuntimeError):  # the loop is closed and needs no more events
        try:
            for event in run:
                loop.call_soon_threadsafe(queue.put_nowait, event)
        finally:  # has an effect only where the run itself failed
            loop.call_soon_threadsafe(queue.put_nowait, Ended(Reason.LOST))


def event_document(event: CellEvent) -> dict[str, Any]:
    """An event as a document for the page."""
    if isinstance(event, Started):
        return {"kind": "started", **asdict(event)}
    if isinstance(event, PrintedText):
        return {"kind": "text", "text": event.text}
    if isinstance(event, DrawnFigure):
        return {"kind": "figure", "png": base64.b64encode(event.png).decode()}
    assert isinstance(event, Ended)
    return {
        "kind": "ended",
        "reason": event.reason.name.lower(),
        "sentence": event.reason.value,
        "detail": event.detail,
        "seconds": event.seconds,
        "left_behind": event.left_behind,
    }

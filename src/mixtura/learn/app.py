"""The server of the lesson: questions of the live parts, and the runs of the code cells."""

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
from mixtura.learn.sandbox import Ended, Event, Figure, Limits, Reason, Run, Started, Text
from mixtura.web.access import Access
from mixtura.web.server import LocalApp, secured

STATIC = Path(__file__).parent / "static"

MOST_CODE = 20_000
"""Characters of a code cell."""

Question = dict[str, Any]


def lesson_app(access: Access | None = None, limits: Limits | None = None) -> LocalApp:
    """The lesson behind its guard."""
    cells = Cells(limits or Limits())
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


def _answering(answer: Callable[[Question], Any]) -> Callable[[Request], Any]:
    """An endpoint that answers one kind of question, one at a time, away from the loop."""

    async def endpoint(request: Request) -> Response:
        question = await _question_of(request)
        return JSONResponse(
            _finite(await run_in_threadpool(lambda: _one_at_a_time(answer, question)))
        )

    return endpoint


_TURN = threading.Lock()


def _one_at_a_time(answer: Callable[[Question], Any], question: Question) -> Any:
    """Fits use all processors, and the race needs them to itself."""
    with _TURN:
        return answer(question)


async def _question_of(request: Request) -> Question:
    try:
        question = await request.json()
    except ValueError:
        question = None
    if not isinstance(question, dict):
        raise ValueError(
            "a question must be a JSON object, but something else came. Reload the page."
        )
    return question


def _finite(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _rows_of(question: Question) -> Any:
    return data_set_of(question.get("data")).rows


def _k_of(question: Question, usual: int = 2) -> int:
    return int(number_of(question, "K", usual, 1, live.LARGEST_K))


def _data(question: Question) -> Any:
    chosen = data_set_of(question.get("data"))
    return {"names": list(chosen.names), "rows": chosen.rows.tolist(), "fewest": FEWEST}


ANSWERS: dict[str, Callable[[Question], Any]] = {
    "data": _data,
    "soft": lambda q: live.soft(_rows_of(q), _k_of(q)),
    "em": lambda q: live.em_steps(_rows_of(q), _k_of(q), int(number_of(q, "seed", 0, 0, 2**31))),
    "shapes": lambda q: live.shapes(_rows_of(q)),
    "race": lambda q: live.race(live.in_range(live.RACES, q.get("rows", 0), "rows")),
    "optima": lambda q: live.optima(_rows_of(q), _k_of(q, 4)),
    "criteria": lambda q: live.criteria(_rows_of(q)),
    "certainty": lambda q: live.uncertainty_of_k(_rows_of(q)),
    "comparison": lambda q: live.methods(_rows_of(q)),
}


# ---- code cells ----------------------------------------------------------------------------------


class Cells:
    """The one code cell that may run at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.running: Run | None = None
        self.lock = threading.Lock()

    async def run(self, request: Request) -> Response:
        """Run some code on the reader's data; its events as they come, one JSON document a line."""
        question = await _question_of(request)
        code = question.get("code")
        if not isinstance(code, str) or len(code) > MOST_CODE:
            raise ValueError(
                f"code must be text of at most {MOST_CODE} characters, but something else came. "
                "Shorten it."
            )
        run = Run(code, {"data.csv": data_set_of(question.get("data")).csv}, self.limits)
        with self.lock:
            if self.running is not None:
                raise ValueError(
                    "another code cell is running, and there is one at a time. Stop that one, or "
                    "wait for it."
                )
            self.running = run
        return StreamingResponse(self._events(run), media_type="application/x-ndjson")

    async def stop(self, _: Request) -> Response:
        """End the cell that runs, if one does."""
        with self.lock:
            run = self.running
        if run is not None:
            run.stop()
        return JSONResponse({"stopped": run is not None})

    async def _events(self, run: Run) -> AsyncIterator[str]:
        """Line by line; a page that is closed ends its cell, also one that says nothing: waiting in
        a queue can be called off.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue()
        threading.Thread(
            target=_pump, args=(run, queue, asyncio.get_running_loop()), daemon=True
        ).start()
        try:
            while True:
                event = await queue.get()
                yield json.dumps(described(event)) + "\n"
                if isinstance(event, Ended):
                    break
        finally:
            run.stop()
            with self.lock:
                self.running = None


def _pump(run: Run, queue: asyncio.Queue[Event], loop: asyncio.AbstractEventLoop) -> None:
    """The events of a run into the queue of a loop, from a thread of their own."""
    with suppress(RuntimeError):  # the loop is closed: nobody waits for them any more
        try:
            for event in run:
                loop.call_soon_threadsafe(queue.put_nowait, event)
        finally:  # read only where the run itself broke off
            loop.call_soon_threadsafe(queue.put_nowait, Ended(Reason.LOST))


def described(event: Event) -> dict[str, Any]:
    """An event for the page."""
    if isinstance(event, Started):
        return {"kind": "started", **asdict(event)}
    if isinstance(event, Text):
        return {"kind": "text", "text": event.text}
    if isinstance(event, Figure):
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

"""The routes of ``mixtura explore``: each answers one kind of question of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mixtura.estimators.model_file import jsonable
from mixtura.explorer import exports, views
from mixtura.explorer.questions import Question
from mixtura.explorer.runs import STARTS, RecordedRun, RunCache, RunSettings
from mixtura.explorer.table import OpenedTable
from mixtura.families import FAMILIES
from mixtura.web.access import Access
from mixtura.web.server import LocalApp, secured

HERE = Path(__file__).parent

LARGEST_SEED = 2**31 - 1


def explorer_app(table: OpenedTable, access: Access | None = None) -> LocalApp:
    """The app for one table, behind its guard."""
    answers = _Answers(table)
    routes = [
        Route(f"/api/{name}", _endpoint(answer), methods=["POST"])
        for name, answer in {
            "table": answers.table,
            "column": answers.column,
            "run": answers.run,
            "frame": answers.frame,
            "memberships": answers.memberships,
            "row": answers.row,
            "conditional": answers.conditional,
            "comparison": answers.comparison,
            "labels": answers.labels,
            "export-memberships": answers.export_memberships,
            "export-model": answers.export_model,
            "export-python": answers.export_python,
        }.items()
    ]
    return secured(
        routes,
        HERE / "page.html",
        static={"explorer": HERE / "static"},
        access=access,
        at_end=answers.runs.end,
    )


def _endpoint(answer: Callable[[Question], Any]) -> Callable[[Request], Any]:
    """Read the question and answer it in a thread; bytes are sent as they are, the rest as JSON."""

    async def endpoint(request: Request) -> Response:
        said = await run_in_threadpool(answer, await Question.of(request))
        return (
            Response(said, media_type="application/octet-stream")
            if isinstance(said, bytes)
            else JSONResponse(jsonable(said))
        )

    return endpoint


class _Answers:
    """One method for each kind of question."""

    def __init__(self, table: OpenedTable) -> None:
        self.opened_table, self.runs = table, RunCache(table)
        self.axes = len(table.columns())

    # ---- the table and the runs ------------------------------------------------------------------

    def table(self, _: Question) -> views.Json:
        return views.table_view(self.opened_table)

    def column(self, question: Question) -> bytes:
        return views.column_bytes(self.opened_table, question.whole("column", 0, self.axes - 1))

    def run(self, question: Question) -> views.Json:
        return views.run_view(self._run(question))

    def frame(self, question: Question) -> views.Json:
        run = self._run(question)
        return views.frame_view(
            run.frames[self._frame(question, run)],
            self._columns(question),
            regions="regions" in question.values,
        )

    def memberships(self, question: Question) -> bytes:
        run = self._run(question)
        return views.memberships_bytes(self.opened_table, run.frames[self._frame(question, run)])

    def row(self, question: Question) -> views.Json:
        run = self._run(question)
        row = question.whole("row", 0, len(self.opened_table.X) - 1)
        return views.row_view(self.opened_table, run.frames[self._frame(question, run)], row)

    def conditional(self, question: Question) -> views.Json:
        run, (x, y) = self._run(question), self._columns(question)
        if self.opened_table.is_line:
            raise ValueError("a table of one column has no other column to be given.")
        axis = self.opened_table.axis(x)[1]
        room = axis["high"] - axis["low"]
        value = question.number("value", axis["low"] - room, axis["high"] + room)
        mixture = run.frames[self._frame(question, run)]
        return views.conditional_view(self.opened_table, mixture, x, y, value)

    # ---- other methods ---------------------------------------------------------------------------

    def comparison(self, question: Question) -> views.Json:
        return views.comparison_view(self.opened_table, self.runs.comparison(self._model(question)))

    def labels(self, question: Question) -> bytes:
        comparison = self.runs.comparison(self._model(question))
        mixture = self.runs.run(self._model(question)).fit.mixture
        return views.labels_bytes(
            self.opened_table, comparison, question.choice("method", comparison.labels), mixture
        )

    # ---- exports ---------------------------------------------------------------------------------

    def export_memberships(self, question: Question) -> bytes:
        run = self._run(question)
        return exports.memberships_csv(
            self.opened_table,
            run.frames[self._frame(question, run)],
            question.number("threshold", 0.0, 1.0),
        )

    def export_model(self, question: Question) -> bytes:
        run = self._run(question)
        return exports.model_bytes(self.opened_table, run, self._frame(question, run))

    def export_python(self, question: Question) -> bytes:
        run, columns, threshold = (
            self._run(question),
            self._columns(question),
            question.number("threshold", 0.0, 1.0),
        )
        return exports.python_text(
            self.opened_table, run, self._frame(question, run), columns, threshold
        ).encode()

    # ---- parts of a question ---------------------------------------------------------------------

    def _model(self, question: Question) -> RunSettings:
        most = min(views.SLIDER_K, len(self.opened_table.X))
        return RunSettings(
            question.whole("components", 1, most),
            question.choice("family", FAMILIES),
            question.whole("seed", 0, LARGEST_SEED),
        )

    def _run(self, question: Question) -> RecordedRun:
        model = self._model(question)
        start = question.choice("start", ("", *STARTS))
        in_background = "background" in question.values
        return self.runs.run(
            RunSettings(model.n_components, model.family, model.seed, start),
            in_background=in_background,
        )

    def _frame(self, question: Question, run: RecordedRun) -> int:
        return question.whole("frame", 0, len(run.frames) - 1)

    def _columns(self, question: Question) -> tuple[int, int]:
        columns = question.whole("x", 0, self.axes - 1), question.whole("y", 0, self.axes - 1)
        if columns[0] == columns[1]:
            raise ValueError(
                f"x and y must be two columns, but both are column {columns[0]}. Choose another "
                "column for x or y."
            )
        return columns

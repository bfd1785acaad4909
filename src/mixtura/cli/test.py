"""mixtura test: is one more component worth it?"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mixtura.cli.console import PlainConsole, consoles, grid, notes, print_json, progress_bar
from mixtura.cli.data import errors_with_column_names, read_data
from mixtura.cli.exit_codes import UsageError
from mixtura.cli.interruption import interruptible_command, interruption_sentence
from mixtura.cli.options import Json, Quiet, Seed, Threads, TimeLimit, Whole, family_names
from mixtura.cli.reading_options import NO_WEIGHTS, WeightOptions


def run(
    data: str,
    /,
    *,
    family: str = "VVV",
    first: Annotated[int, Whole, Parameter(validator=Number(gte=1))] = 1,
    most: Annotated[int, Whole, Parameter(validator=Number(gte=1))] = 9,
    level: Annotated[float, Parameter(validator=Number(gt=0, lt=1))] = 0.05,
    replicates: Annotated[int, Whole, Parameter(validator=Number(gte=1))] = 199,
    reading: WeightOptions = NO_WEIGHTS,
    seed: Seed = 0,
    threads: Threads = None,
    starts: Annotated[int, Whole, Parameter(validator=Number(gte=1))] = 4,
    time_limit: TimeLimit = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Test K components against K + 1, for K = 1, 2, ... until a test does not reject.

    Likelihood ratio tests with a simulated null distribution (McLachlan 1987). Ctrl-C, SIGTERM and
    --time-limit keep the tests and replicates that are done.

    Parameters
    ----------
    data
        A table with column names: CSV, Excel, Parquet, Arrow or JSON lines; - reads standard input.
    family
        The covariance family of all tests, such as VVV.
    first
        The first K.
    most
        The last K; K + 1 components are fitted as well.
    level
        Significance level: K is rejected where the p-value is at most this.
    replicates
        Data sets simulated for each test; the smallest possible p-value is 1 / (1 + replicates).
    starts
        Starts of each fit, in addition to warm starts: the true parameters for K, splits of the
        fitted components for K + 1.
    """
    from mixtura.selection.likelihood_ratio import (
        LikelihoodRatioTest,
        SequentialTest,
        sequential_likelihood_ratio_test,
    )

    families = family_names(family)
    if len(families) != 1:
        raise UsageError(f"--family must be one family such as VVV, but got {family!r}.")
    if most < first:
        raise UsageError(f"--most must be at least --first = {first}, but got {most}.")
    needed = ceil(1 / level - 1e-9) - 1
    if replicates < needed:
        raise UsageError(
            f"with {replicates} replicates no p-value can be as small as --level {level:g}. Give "
            f"--replicates {needed} or more."
        )
    out, err, bars = consoles(quiet=quiet, json=json)
    done: list[LikelihoodRatioTest] = []
    cut = False
    with interruptible_command(time_limit) as interruption, notes(err):
        read = read_data(data, reading, out, err)
        try:
            with (
                errors_with_column_names(read),
                progress_bar(
                    bars, f"{first} against {first + 1} components", replicates, "replicates"
                ) as progress,
            ):
                tests = sequential_likelihood_ratio_test(
                    read.X,
                    most,
                    families[0],
                    first=first,
                    sample_weight=read.weights,
                    level=level,
                    n_replicates=replicates,
                    n_starts=starts,
                    random_state=seed,
                    n_threads=threads,
                    on_replicate=lambda K, count: progress(
                        count, f"{K} against {K + 1} components"
                    ),
                    on_test=done.append,
                )
        except KeyboardInterrupt:
            if not done:
                raise
            tests, cut = SequentialTest(tuple(done), level), True
    cut = cut or tests.tests[-1].interrupted
    document = {
        **read.document(),
        "family": families[0],
        "level": level,
        "random_state": seed,
        "n_components": tests.n_components,
        "sentence": tests.sentence,
        "tests": [
            {**row, "standard_error": t.standard_error}
            for row, t in zip(tests.rows(), tests.tests, strict=True)
        ],
    } | interruption.fields(cut)
    _report_tests(out, document)
    if json:
        print_json(document)
    return interruption.exit_code(cut)


def _report_tests(out: PlainConsole, document: Mapping[str, Any]) -> None:
    """Print a row for each test, and the conclusion."""
    title = f"\nIs one more component worth it? {document['family']}, likelihood ratio tests"
    table = grid(
        "components",
        "against",
        "2 log ratio",
        "p-value",
        "std. error of p",
        "replicates",
        "failed",
        title=title,
    )
    for row in document["tests"]:
        known = isfinite(row["p_value"])
        p = (f"{row['p_value']:.3g}", f"{row['standard_error']:.2g}") if known else ("-", "-")
        statistic = f"{row['statistic']:.2f}" if isfinite(row["statistic"]) else "-"
        table.add_row(
            str(row["n_components"]),
            str(row["against"]),
            statistic,
            *p,
            str(row["replicates"]),
            str(row["failed"]),
        )
    out.print(table)
    out.say(f"\n{document['sentence']}", style="bold")
    if document["interrupted"]:
        out.say(interruption_sentence(document), style="yellow")

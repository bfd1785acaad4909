"""The options of every command that selects a model for a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cyclopts import Parameter

from mixtura.cli.exit_codes import UsageError
from mixtura.cli.options import (
    Count,
    Seed,
    Threads,
    component_numbers,
    criterion_name,
    family_names,
    noise_volume,
)

if TYPE_CHECKING:
    from mixtura.selection.settings import SelectionSettings


@Parameter(name="*")
@dataclass(frozen=True)
class SelectionOptions:
    """The candidates and the criterion, as typed."""

    max_components: Count = None
    """Try 1 to this many components; 10 by default."""

    components: str | None = None
    """Try exactly these numbers: 3, or 1:10, or 2,4,6."""

    families: str = "all"
    """all, or names separated by commas, such as VVV,EEE."""

    criterion: str = "bic"
    """The criterion that decides, lower is better: bic, aic, icl, icl_entropy, aicc, sabic, clc,
    awe, nec, entropy, or cv (cross-validation).
    """

    starts: Count = None
    """Only run EM to convergence from this many starts. By default there are short runs from starts
    of several kinds, EM to convergence from the best of them, and a local search for a better
    optimum, which removes one component and splits another; with ten components or more it moves
    many at once."""

    seed: Seed = 0

    threads: Threads = None

    @property
    def all_families(self) -> bool:
        """Whether all families are candidates."""
        return self.families.strip().lower() == "all"

    def check(self) -> None:
        """Raise an error for wrong values, before a file is read."""
        component_numbers(self.components, self.max_components)
        family_names(self.families)
        criterion_name(self.criterion)

    def arguments(self) -> list[str]:
        """The options that are not at their defaults, and the seed."""
        given = {
            "--max-components": self.max_components,
            "--components": self.components,
            "--families": None if self.all_families else self.families,
            "--criterion": None if self.criterion == "bic" else self.criterion,
            "--starts": self.starts,
        }
        named = [
            word
            for option, value in given.items()
            if value is not None
            for word in (option, str(value))
        ]
        return [*named, "--seed", str(self.seed)]

    def numbers(self, n_classes: int = 0) -> list[int]:
        """The numbers of components to try: each known class is a component of its own."""
        numbers = component_numbers(self.components, self.max_components)
        enough = [n for n in numbers if n >= n_classes]
        if not enough:
            raise UsageError(
                f"--labels has {n_classes} classes, and each is a component of its own, but "
                f"--components are at most {numbers[-1]}. Try {n_classes} or more."
            )
        return enough

    def n_candidates(self, n_columns: int, n_classes: int = 0) -> int:
        """The number of candidates; one column has no shapes and axes to choose from."""
        names = family_names(self.families)
        kept = (
            [name for name in names if name.endswith("II")]
            if self.all_families and n_columns == 1
            else names
        )
        return len(self.numbers(n_classes)) * len(kept)

    def settings(self, *, n_classes: int = 0, **further: Any) -> SelectionSettings:
        """The settings of the selection; known classes come first, in their order."""
        from mixtura.selection.settings import SelectionSettings

        return SelectionSettings(
            self.numbers(n_classes),
            families="all" if self.all_families else cast(Any, family_names(self.families)),
            criterion=cast(Any, criterion_name(self.criterion)),
            n_init=self.starts,
            random_state=self.seed,
            component_order=None if n_classes else "weight",
            n_threads=self.threads,
            **further,
        )


DEFAULT_OPTIONS = SelectionOptions()
"""All families with 1 to 10 components, by BIC."""


@Parameter(name="*")
@dataclass(frozen=True)
class RegressionOptions(SelectionOptions):
    """The candidates of a regression, as typed."""

    families: str = "EEE,VVV"
    """all, or names separated by commas. By default full covariances, shared or free: in these the
    targets follow the inputs within each component.
    """


REGRESSION = RegressionOptions()
"""Two families with 1 to 10 components, by BIC."""


@Parameter(name="*")
@dataclass(frozen=True)
class OutlierSelection(SelectionOptions):
    """The candidates for a mixture that finds outliers, as typed."""

    families: str = "EEE,VVV,VVI"
    """all, or names separated by commas."""

    noise: str | None = None
    """A uniform term that takes gross outliers during the fit, over a volume: box, principal, auto
    (the smaller one), a number in the product of the columns' units; or none. By default the
    criterion decides between none and auto.
    """

    @property
    def noise_terms(self) -> list[Any]:
        """The noise terms to try."""
        if self.noise is None:
            return [None, "auto"]
        return [None if self.noise.strip().lower() == "none" else noise_volume(self.noise)]


USUAL_OUTLIERS = OutlierSelection()
"""Three families with 1 to 10 components, by BIC, with or without noise."""

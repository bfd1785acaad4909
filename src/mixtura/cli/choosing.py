"""What a model of a table is chosen from, for every command that looks for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cyclopts import Parameter

from mixtura.cli.options import (
    Columns,
    Count,
    Seed,
    Threads,
    component_numbers,
    criterion_name,
    family_names,
)

if TYPE_CHECKING:
    from mixtura.selection.settings import SelectionSettings


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """What is to be chosen from, as it was typed."""

    columns: Columns = None

    max_components: Count = None
    """Try 1 up to this many components (10)."""

    components: str | None = None
    """Try exactly these: 3, or 1:10, or 2,4,6."""

    families: str = "all"
    """all, or names with commas such as VVV,EEE."""

    criterion: str = "bic"
    """What decides, lower is better: bic, aic, icl, icl_entropy, aicc, sabic, clc, awe, nec,
    entropy, or cv (cross-validation).
    """

    starts: Count = None
    """Full runs from this many starts, and no more. By default starts of several kinds run shortly
    and the best of them on; then a local search tries to leave the best optimum: one component is
    taken out and another split; of ten or more, many are exchanged at once."""

    seed: Seed = 0

    threads: Threads = None

    @property
    def all_families(self) -> bool:
        """Whether no family was left out."""
        return self.families.strip().lower() == "all"

    def check(self) -> None:
        """Refuse what makes no sense before a file is read."""
        component_numbers(self.components, self.max_components)
        family_names(self.families)
        criterion_name(self.criterion)

    def words(self) -> list[str]:
        """The options that are not at their defaults, and the seed."""
        given = {
            "--columns": self.columns,
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

    def n_candidates(self, n_columns: int) -> int:
        """How many there are; with one column there are no shapes and axes to choose from."""
        names = family_names(self.families)
        kept = (
            [name for name in names if name.endswith("II")]
            if self.all_families and n_columns == 1
            else names
        )
        return len(component_numbers(self.components, self.max_components)) * len(kept)

    def selection(self, **further: Any) -> SelectionSettings:
        """What the selection is asked for."""
        from mixtura.selection.settings import SelectionSettings

        return SelectionSettings(
            component_numbers(self.components, self.max_components),
            families="all" if self.all_families else cast(Any, family_names(self.families)),
            criterion=cast(Any, criterion_name(self.criterion)),
            n_init=self.starts,
            random_state=self.seed,
            component_order="weight",
            n_threads=self.threads,
            **further,
        )


USUAL = Wanted()
"""What is chosen from when nothing is said."""

"""A model of a table for the commands that show it: the selection of ``mixtura fit``, with fewer settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mixtura.cli.data import Data
from mixtura.cli.options import component_numbers, criterion_name, family_names
from mixtura.cli.selecting import select
from mixtura.console import Plain

if TYPE_CHECKING:
    from mixtura.results import Selection
    from mixtura.selector import GaussianMixtureSelector


@dataclass(frozen=True)
class Wanted:
    """What is to be chosen from, as it was typed."""

    max_components: int | None
    components: str | None
    families: str
    criterion: str
    seed: int
    threads: int | None
    starts: int | None

    def check(self) -> None:
        """Refuse what makes no sense before a file is read."""
        component_numbers(self.components, self.max_components)
        family_names(self.families)
        criterion_name(self.criterion)

    def words(self) -> list[str]:
        """The options that are not at their defaults, and the seed."""
        given = {
            "--max-components": self.max_components,
            "--components": self.components,
            "--families": None if self.families == "all" else self.families,
            "--criterion": None if self.criterion == "bic" else self.criterion,
            "--starts": self.starts,
        }
        named = [word for option, value in given.items() if value is not None for word in (option, str(value))]
        return [*named, "--seed", str(self.seed)]


def choose(wanted: Wanted, read: Data, bars: Plain) -> tuple[GaussianMixtureSelector, Selection, bool]:
    """The selector, what it found, and whether Ctrl-C cut it short."""
    from mixtura.selector import GaussianMixtureSelector

    ks, names = component_numbers(wanted.components, wanted.max_components), family_names(wanted.families)
    if len(read.names) == 1 and wanted.families.strip().lower() == "all":  # with one column there are no shapes and axes
        names = [name for name in names if name.endswith("II")]
    selector = GaussianMixtureSelector(
        ks,
        families="all" if wanted.families.strip().lower() == "all" else names,
        criterion=criterion_name(wanted.criterion),
        n_init=wanted.starts,
        random_state=wanted.seed,
        component_order="weight",
        n_threads=wanted.threads,
    )
    return selector, *select(selector, read, bars, len(ks) * len(names))

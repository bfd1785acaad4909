"""A mixture with the words that belong into a file: its family, classes and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from mixtura.distribution.mixture import Mixture


@dataclass(frozen=True, eq=False)
class DescribedMixture:
    """What every writer takes and every reader returns.

    Attributes
    ----------
    mixture : Mixture
    family : str
        Three letters.
    classes : tuple, optional
        Names of known classes, of which class c is component c.
    facts : mapping
        What is known about the fit: ``n_rows``, ``log_likelihood``, ``n_parameters``, ``bic`` ...
    """

    mixture: Mixture
    family: str
    classes: tuple[Any, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns; ``x0``, ``x1`` ... where they have none."""
        return self.mixture.columns or tuple(f"x{j}" for j in range(self.mixture.n_features))

    @property
    def law(self) -> str:
        """``gaussian`` or ``t``."""
        return "gaussian" if self.mixture.tails is None else "t"

    @property
    def title(self) -> str:
        """``Mixture of 2 Gaussian components (VVV) with noise``."""
        K = self.mixture.n_components
        law = "Gaussian" if self.mixture.tails is None else "t"
        noise = "" if self.mixture.noise is None else " with noise"
        return f"Mixture of {K} {law} component{'s' * (K > 1)} ({self.family}){noise}"


def created_by() -> str:
    """Name and version of this program."""
    return f"mixtura {version('mixtura')}"

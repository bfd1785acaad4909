"""The public names, each once: the package reads its own list from this file."""

from . import compare as compare
from . import plots as plots
from .backends import build_info as build_info
from .base.errors import BackendWarning as BackendWarning
from .base.errors import DataError as DataError
from .base.errors import DataWarning as DataWarning
from .base.errors import DegenerateWarning as DegenerateWarning
from .base.errors import InferenceError as InferenceError
from .base.errors import MissingExtraError as MissingExtraError
from .base.errors import ModelFileError as ModelFileError
from .distribution.conditional import ConditionalMixture as ConditionalMixture
from .distribution.conditional_groups import ConditionalGroups as ConditionalGroups
from .distribution.estimate import Estimate as Estimate
from .distribution.mixture import Mixture as Mixture
from .distribution.modes import Modes as Modes
from .distribution.noise import Noise as Noise
from .distribution.regions import HighestDensityRegions as HighestDensityRegions
from .estimators.bayesian_mixture import BayesianGaussianMixture as BayesianGaussianMixture
from .estimators.classifier import MixtureClassifier as MixtureClassifier
from .estimators.gaussian_mixture import GaussianMixture as GaussianMixture
from .estimators.imputer import MixtureImputer as MixtureImputer
from .estimators.outliers import OutlierMixture as OutlierMixture
from .estimators.persistence import load as load
from .estimators.persistence import save as save
from .estimators.regressor import MixtureRegressor as MixtureRegressor
from .estimators.selector import GaussianMixtureSelector as GaussianMixtureSelector
from .estimators.student_t_mixture import StudentTMixture as StudentTMixture
from .inference.uncertainty import Interval as Interval
from .inference.uncertainty import MembershipIntervals as MembershipIntervals
from .inference.uncertainty import Uncertainty as Uncertainty
from .initialise.hierarchy import Tree as Tree
from .initialise.hierarchy import hierarchical as hierarchical
from .model.certificate import Certificate as Certificate
from .model.certificate import ComponentReport as ComponentReport
from .model.fit_result import FitResult as FitResult
from .model.fit_result import Iteration as Iteration
from .model.fit_result import StopReason as StopReason
from .model.matching import Match as Match
from .model.matching import match as match
from .model.priors import ConjugatePrior as ConjugatePrior
from .model.selection import Candidate as Candidate
from .model.selection import Selection as Selection
from .model.start_report import StartReport as StartReport
from .selection.bootstrap import ChoiceUncertainty as ChoiceUncertainty
from .selection.likelihood_ratio import LikelihoodRatioTest as LikelihoodRatioTest
from .selection.likelihood_ratio import SequentialTest as SequentialTest
from .selection.likelihood_ratio import likelihood_ratio_test as likelihood_ratio_test
from .selection.likelihood_ratio import (
    sequential_likelihood_ratio_test as sequential_likelihood_ratio_test,
)
from .selection.merging import MergedMixture as MergedMixture
from .selection.merging import MergeTree as MergeTree

__version__: str

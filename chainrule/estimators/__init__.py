"""scikit-learn style: estimators with fit and predict, which need no scikit-learn to work."""

from chainrule.estimators.classifier import Classifier
from chainrule.estimators.regressor import Regressor

__all__ = ["Classifier", "Regressor"]

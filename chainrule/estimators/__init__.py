"""scikit-learn style: estimators with fit and predict, which need no scikit-learn to work."""

from chainrule.estimators.classifier import Classifier
from chainrule.estimators.contract import DataConversionWarning
from chainrule.estimators.regressor import Regressor
from chainrule.estimators.rows import ScaleWarning

__all__ = ["Classifier", "DataConversionWarning", "Regressor", "ScaleWarning"]

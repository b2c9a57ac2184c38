"""What scikit-learn's tools ask of an estimator, without importing scikit-learn.

Parameters are those of `__init__`, kept as they were given; whatever `fit` learns ends in an
underscore. Source: scikit-learn, "Developing scikit-learn estimators". What only matters while
scikit-learn is in use (its tags, its own classes of errors and warnings) is taken from it then.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any, ClassVar, Self

from chainrule.errors import DataConversionWarning, NotFittedError, ParameterError, did_you_mean


class Estimator:
    """Parameters in, parameters out; fitted or not."""

    _estimator_type: ClassVar[str]
    seed_: int

    @classmethod
    def _defaults(cls) -> dict[str, Any]:
        """The parameters of `__init__` and their defaults."""
        given = inspect.signature(cls).parameters.values()
        return {parameter.name: parameter.default for parameter in given}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name. `deep` changes nothing: no parameter is an estimator."""
        return {name: getattr(self, name) for name in self._defaults()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; their values are checked at `fit`.

        Raises:
            ParameterError: there is no parameter of that name; nothing is changed then.
        """
        known = self._defaults()
        for name in params:
            if name not in known:
                raise ParameterError(
                    f"{name!r} is no parameter of {self._name}; it has {', '.join(known)}",
                    hint=did_you_mean(name, known),
                )
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._defaults()
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name])
        ]
        return f"{self._name}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return "seed_" in vars(self)

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        regressor = self._estimator_type == "regressor"
        return Tags(
            estimator_type=self._estimator_type,
            target_tags=TargetTags(required=True, multi_output=regressor),
            classifier_tags=None if regressor else ClassifierTags(),
            regressor_tags=RegressorTags() if regressor else None,
            input_tags=InputTags(),
        )

    @property
    def _name(self) -> str:
        """What messages call the estimator."""
        return type(self).__name__

    def _require_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise not_fitted(f"this {self._name} is not fitted yet; call fit first")


def not_fitted(text: str) -> NotFittedError:
    """Our error; scikit-learn's as well where that is imported, so that its tools recognise it."""
    theirs = _from_sklearn("NotFittedError")
    if theirs is None:
        return NotFittedError(text)
    # a class made on the fly cannot be found by name when an error is sent between processes
    sent = {"__reduce__": lambda error: (not_fitted, error.args)}
    error: NotFittedError = type("NotFittedError", (NotFittedError, theirs), sent)(text)
    return error


def warn_column_vector() -> None:
    """Warn, in scikit-learn's words and class, that a column was taken for a vector."""
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        "to (n_samples,), for example using y.ravel()",
        _from_sklearn("DataConversionWarning") or DataConversionWarning,
        stacklevel=6,  # the caller of fit or score
    )


def _from_sklearn(name: str) -> Any:
    return getattr(sys.modules.get("sklearn.exceptions"), name, None)

"""Errors of the model box travel between processes."""

import pickle

from headrace.models.errors import WeightsUnavailable


def test_an_error_survives_pickle_with_its_hint() -> None:
    error = pickle.loads(pickle.dumps(WeightsUnavailable("no space", hint="free some")))
    assert (type(error), error.message, error.hint, error.code) == (
        WeightsUnavailable,
        "no space",
        "free some",
        "weights_unavailable",
    )

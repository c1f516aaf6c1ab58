"""The law of the errors over many seeds: right errors pass although claims depend on one another, wrong ones do not."""

import numpy as np
import pytest
from pages import chapter, claim
from scipy.stats import kstest

from mckean.talk.calibration import Calibration
from mckean.talk.claims import Result
from mckean.talk.run import Outcome

TEN = [chapter(name) for name in "abcdefghij"]


def talk(number: int, *, together: float = 0.0, share: float = 1.0, shift: float = 0.0, **changes) -> Calibration:
    """Ten chapters at five seeds with ten claims each, whose errors have the correlation `together`.

    Errors are stated as `share` of what they are, and the mean is off by `shift` of them.
    """
    noise = np.random.default_rng(number)
    outcomes = []
    for seed in range(5):
        for one in TEN:
            z = np.sqrt(together) * noise.standard_normal() + np.sqrt(1 - together) * noise.standard_normal(10)
            given = {"predicted": 0.0, "tolerance": 0.0, "statement": "It is $0$"} | changes
            claims = [claim(0.1 * (each + shift), 0.1 * share, np.inf, **given) for each in z]
            outcomes.append(Outcome(one, seed, "", Result(claims, ()), 1.0))
    return Calibration(range(5), outcomes)


def test_right_errors_pass_although_claims_depend_on_one_another():
    """Of 12 p-values 4 or more are below 1/100 with a probability of 5e-6; by Kolmogorov's table half are."""
    talks = [talk(number, together=0.9) for number in range(6)]
    assert sum(test.p_value < 0.01 for each in talks for test in each.tests[:2]) <= 3
    tables = [kstest([score.u for score in each.scores], "uniform").pvalue for each in talks]
    assert np.median(tables) < 0.01


@pytest.mark.parametrize("wrong", [{"share": 0.7}, {"share": 1.5}, {"shift": 0.5}, {"shift": -0.5}])
def test_errors_that_are_wrong_are_seen(wrong):
    """Also where no single claim fails: too small, too large, or with a bias."""
    seen = talk(1, **wrong)
    assert not any(outcome.count("fails") for outcome in seen.outcomes)
    assert min(test.p_value for test in seen.tests[:2]) < seen.level
    assert not seen.holds
    assert talk(1).holds


def test_bounds_and_tolerances_may_be_wide_and_not_narrow():
    for relation, wide, narrow in (("at most", -2.0, 1.0), ("at least", 2.0, -1.0)):
        assert talk(2, relation=relation, shift=wide).tests[2].p_value > 0.1
        assert talk(2, relation=relation, shift=narrow).tests[2].p_value < 2.5e-4
    given = {"tolerance": 0.1, "origin": "grid"}
    assert talk(2, shift=0.5, **given).tests[2].p_value > 0.1
    assert talk(2, shift=2.0, **given).tests[2].p_value < 2.5e-4
    assert np.isnan(talk(2, **given).tests[0].p_value)


def test_what_has_no_error_of_its_own_has_no_score():
    assert not talk(3, interval=(-0.1, 0.1)).scores
    assert not talk(3, relation="unequal", excludes=None).scores
    assert not talk(3, share=0.0).scores

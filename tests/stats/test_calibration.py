import calibration
import numpy as np
import pytest
import rivals


@pytest.fixture(scope="module")
def page():
    return calibration.measure(calibration.QUICK, seed=1)


@pytest.mark.thorough
def test_every_error_rate_and_interval_is_what_it_says(page):
    assert len(page.promises) >= 9
    assert [promise for promise in page.promises if not promise[2]] == []


@pytest.mark.thorough
def test_the_page_shows_every_promise_and_table(page):
    text = calibration.render(page, seed=1, quick=True)
    assert all(what in text for what, _, _ in page.promises)
    assert text.count("\n## ") == len(page.sections)
    assert "nan" not in text


def test_a_broken_promise_is_shown_and_ends_the_script_with_one(monkeypatch, capsys):
    def broken(size, seed):
        page = calibration.Page()
        page.promise("coverage ≥ 94 %", "81 %", False)
        return page

    monkeypatch.setattr(calibration, "measure", broken)
    assert calibration.main(["--quick"]) == 1
    seen = capsys.readouterr()
    assert "**broken**" in seen.out
    assert "coverage ≥ 94 %: 81 %" in seen.err


def test_a_rule_that_peeks_is_caught_by_the_same_simulation():
    scores = calibration.play("normal", np.random.default_rng(0), 300, 2, 60, shared=0.0)
    peeking = rivals.welch_every_look(scores, 5)
    assert peeking.mean() > calibration.ALPHA + 3 * calibration._error(300)


@pytest.mark.parametrize("shape", [*calibration.SHAPES, "lognormal"])
def test_the_simulated_rewards_have_the_truth_that_is_claimed(shape):
    sample = calibration.draw(shape, np.random.default_rng(1), (400_000,))
    spread = calibration.SPREADS[shape]
    assert sample.mean() == pytest.approx(calibration.MEANS[shape], abs=0.01 * spread)
    assert sample.std() == pytest.approx(spread, rel=0.06)

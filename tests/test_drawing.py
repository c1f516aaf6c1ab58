"""Panels and films as SVG that stands in a page, formulas as MathML, numbers with the digits they warrant."""

import re

import matplotlib
import numpy as np
import pytest
from pages import Reader, claim, control, film, panel

from mckean.digits import measurement, number
from mckean.talk.claims import Series
from mckean.talk.report.figures import film_svg, panel_svg
from mckean.talk.report.labels import wrap
from mckean.talk.report.mathematics import inline, mathml, paragraphs, plain
from mckean.talk.report.numbers import band, duration, prediction, strain


@pytest.mark.parametrize("xscale", ["linear", "log"])
@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_a_panel_draws_on_every_scale_and_leaves_matplotlib_alone(xscale, yscale):
    before = dict(matplotlib.rcParams)
    drawn = panel(xscale=xscale, yscale=yscale, title="A title of $x$")
    svg = panel_svg(drawn, "p")
    assert dict(matplotlib.rcParams) == before
    assert svg == panel_svg(drawn, "p")
    assert "currentColor" in svg
    assert "#010203" not in svg
    assert "<style" not in svg
    assert 'role="img"' in svg
    ids = set(Reader(svg).ids)
    assert all(name.startswith("p-") for name in ids)
    assert set(re.findall(r'(?:href="#|url\(#)([^")]*)', svg)) <= ids
    assert "error &amp; more against size N" in svg


def test_a_log_axis_has_few_labels():
    for exponent in (0, -7):
        x = 10.0**exponent * np.array([1.0, 3.0, 30.0])
        assert panel_svg(panel(series=[Series(x, x)], xscale="log", yscale="log", vertical=()), "a")


def test_values_an_axis_cannot_show_are_masked():
    nothing = Series(np.array([1.0, 2.0]), np.array([-1.0, np.nan]), "nothing", 0.1, "points")
    assert panel_svg(panel(series=[nothing], yscale="log"), "a").startswith("<svg")
    one = Series(np.array([1.0, 2.0, 3.0]), np.array([np.inf, 0.0, 2.0]), "one")
    assert panel_svg(panel(series=[one], xscale="log", yscale="log"), "a").startswith("<svg")


def test_many_points_become_an_image():
    cloud = Series(np.arange(5000.0), np.arange(5000.0) % 7, "", None, "points")
    svg = panel_svg(panel(series=[cloud], vertical=()), "a")
    assert "data:image/png" in svg
    assert len(svg) < 200_000


def test_a_film_is_one_image_a_frame_on_one_scale():
    svg = film_svg(film(), "f")
    assert svg == film_svg(film(), "f")
    assert svg.count("<image") >= 6
    assert "#010203" not in svg
    assert all(name.startswith("f-") for name in Reader(svg).ids)
    assert "density ρ as colours; rows: K = 0, b &amp; c; columns: t = 0, 1, 2." in svg


def test_prose_becomes_html():
    assert inline("a < b costs \\$5") == "a &lt; b costs $5"
    assert inline("one $ alone") == "one $ alone"
    text = paragraphs("First $x$.\n\nSecond $$y < z$$ & more")
    assert text.count("<math") == 2
    assert 'display="block"' in text
    assert "xmlns" not in text
    assert re.sub("<math.*?</math>", "M", text).split("\n") == [
        "<p>First M.</p>",
        "<p>Second</p>",
        '<div class="display">M</div>',
        "<p>&amp; more</p>",
    ]
    Reader(text)


@pytest.mark.parametrize(
    ("tex", "pieces"),
    [(r"x = y,\qquad y = z", 2), (r"\frac{a\qquad b}{c}", 1), (r"\begin{aligned}a\qquad b\end{aligned}", 1), ("x", 1)],
)
def test_a_display_is_parted_at_its_wide_spaces(tex, pieces):
    assert paragraphs(f"$${tex}$$").count("<math") == pieces


@pytest.mark.parametrize(
    ("tex", "holds"),
    [
        (r"\mathrm{d}X_t", "<mtext>d</mtext>"),
        (r"\mathbb R^d", "&#x0211D;"),
        (r"\rho\log\rho", '<mo lspace="0.167em" rspace="0.167em">log</mo>'),
        (r"\log(x)", '<mo lspace="0" rspace="0">log</mo>'),
        (r"a \sim b", "<mo>&#x0223C;</mo>"),
        (r"\langle x\rangle", '<mo stretchy="false">&#x027E8;</mo>'),
        (r"\int\!\int", 'width="-0.167em"'),
        (r"\begin{aligned}a &= b \\ c &= d\end{aligned}", "<mtable"),
        (r"\nosuchcommand{x}", '<code class="tex">\\nosuchcommand{x}</code>'),
        (r"a < \nosuch", '<code class="tex">a &lt; \\nosuch</code>'),
    ],
)
def test_tex_becomes_mathml(tex, holds):
    assert holds in mathml(tex)


def test_a_formula_on_a_terminal_has_signs_for_its_commands():
    assert plain(r"at \$5 $\alpha t \le 2$, $\sqrt N$, $\nosuch x$") == r"at $5 αt ≤2, √N, \nosuch x"


def test_numbers_have_the_digits_they_warrant():
    assert number(0.724158717626) == "0.724159"
    assert number(-1.5e-13, 3) == "−1.5×10⁻¹³"
    assert number(float("nan")) == "—"
    assert number(float("-inf")) == "−∞"
    assert prediction(claim(predicted=0.5, relation="at most")) == "≤ 0.5"
    assert prediction(claim(predicted=float("nan"))) == "—"
    assert prediction(control(predicted=0.5)) == "= 0.5"
    assert band(0.48212, 0.51779) == "[0.4821, 0.5178]"
    assert band(-1e-9, 3e-9) == "[−1×10⁻⁹, 3×10⁻⁹]"
    assert band(8.0, 8.0) == "the measured value alone"
    assert band(3 - 1e-7, 3 + 1e-7) == "3 ± 1×10⁻⁷"
    assert band(float("nan"), 1.0) == "[—, 1]"
    assert [strain(share) for share in (0.0, 0.871, float("inf"))] == ["0.00", "0.87", "∞"]
    assert measurement(0.724158, 0.00035) == "0.72416 ± 0.00035"
    assert measurement(-1234.5, 120.0) == "−1234 ± 120"
    assert measurement(1.234e-7, 5e-9) == "(1.234 ± 0.050)×10⁻⁷"
    assert measurement(0.25, 0.0) == "0.25"
    assert measurement(0.25, float("inf")) == "0.25 ± ∞"
    assert measurement(0.0, 0.01) == "0.000 ± 0.010"
    assert duration(4.24) == "4.2 s"
    assert duration(42.4) == "42 s"
    assert duration(59.7) == "1 min 0 s"
    assert duration(192.0) == "3 min 12 s"
    assert duration(7500.0) == "2 h 5 min"


def test_a_label_breaks_between_words_and_never_in_a_formula():
    label = wrap("a long label with $\\frac{a b c}{d e f}$ inside it", 12)
    assert "$\\frac{a b c}{d e f}$" in label
    assert label.replace("\n", " ") == "a long label with $\\frac{a b c}{d e f}$ inside it"
    assert "\n" in label

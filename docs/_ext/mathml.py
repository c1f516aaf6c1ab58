"""Formulas as MathML, which browsers show without a script: the pages need no network for them."""

from docutils.nodes import SkipNode

from mckean.talk.report.mathematics import mathml


def visit_inline(self, node):
    self.body.append(mathml(node.astext()))
    raise SkipNode


def visit_block(self, node):
    self.body.append(f'<div class="math">{mathml(node.astext(), display=True)}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

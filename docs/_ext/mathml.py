"""Formulas as MathML, which browsers draw themselves: no script is loaded from elsewhere."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """A formula in a line."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """A formula by itself."""
    formula = tex2mathml(node.astext(), as_block=True)
    translator.body.append(f'<p class="formula">{formula}</p>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """For Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}

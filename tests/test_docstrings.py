"""Every example in a docstring runs and prints its stated output."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import mixtura

MODULES = [
    module.name
    for module in pkgutil.walk_packages(mixtura.__path__, "mixtura.")
    if not module.name.endswith("_native")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_the_stated_output(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [
        test
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert len(found) >= 4

"""The error tree in portico.errors' docstring is the tree of its classes."""

import re

from portico import errors


def test_the_docstring_tree_is_the_class_tree():
    """Every class is drawn once, under its parent, and nothing is drawn that is not there."""
    drawn, stack = [], []
    for line in errors.__doc__.splitlines():
        if match := re.match(r"([│├└─ ]*)([A-Z]\w+)(  |$)", line):
            depth = len(match[1]) // 4
            stack[depth:] = [match[2]]
            drawn.append((match[2], stack[depth - 1] if depth else "Exception"))
    classes = {
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.PorticoError)
    }

    assert sorted(drawn) == sorted((c.__name__, c.__base__.__name__) for c in classes)


def test_codes_are_unique_and_nested_like_the_classes():
    """`wire.frame_too_large` says its family; no two classes share a code."""
    classes = [
        c
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, errors.PorticoError)
    ]
    codes = [c.code for c in classes]

    assert len(codes) == len(set(codes))
    for c in classes:
        if c.__base__ not in (errors.PorticoError, Exception):
            assert c.code.startswith(c.__base__.code + ".")

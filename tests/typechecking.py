"""Shapes and types of the library's functions are checked as they are called, and those of its values as they are made.

jaxtyping's import hook decorates every function, also one within a function whenever the outer one is called, and has
beartype look at the arguments twice. Here functions that say no types are left alone, and beartype looks once, by code
that it writes when a function is called first.
"""

import ast
import functools
import inspect

from beartype import BeartypeConf, beartype
from jaxtyping import _import_hook, install_import_hook, jaxtyped
from jaxtyping._decorator import _destring_annotation

# An int is a float, as Python's typing has it.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checker(of):
    """A class whose values are checked as they are made, or a function whose arguments and value are at each call."""
    if inspect.isclass(of):
        return jaxtyped(of, typechecker=check)
    checked = None

    @functools.wraps(of)
    def call(*args, **kwargs):
        nonlocal checked
        checked = checked or check(_with_types(of))
        with jaxtyped("context"):
            return checked(*args, **kwargs)

    return call


def _with_types(of):
    """The function, its annotations no strings; one that is known to type checkers alone says nothing here."""
    of.__annotations__ = {name: _destring_annotation(hint, of.__globals__) for name, hint in of.__annotations__.items()}
    return of


class Transformer(_import_hook.JaxtypingTransformer):
    """Decorates classes, and functions that say types, by `checker`."""

    def visit_FunctionDef(self, node: ast.FunctionDef):
        args = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        if node.returns or any(arg.annotation for arg in args if arg):
            node.decorator_list.append(self._decorator(node))
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef):
        node.decorator_list.insert(0, self._decorator(node))
        self.generic_visit(node)
        return node

    def _decorator(self, node: ast.AST) -> ast.expr:
        # jaxtyping writes jaxtyped(typechecker=checker).
        return ast.copy_location(self._typechecker.get_ast().keywords[0].value, node)


def install():
    """A context in which the library is imported so."""
    _import_hook.JaxtypingTransformer = Transformer
    return install_import_hook("mckean", "typechecking.checker")

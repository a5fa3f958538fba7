"""Tells which blocks of a module were run, at a small cost: the module is written anew with marks in it.

A mark is one assignment into a byte array, so a run costs little more than without. What Python offers for the
same (``sys.settrace``) makes it many times slower, and ``sys.monitoring`` is not in every version we support.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Final

_MARKS = "__marks__"
_SEEN = "__seen__"


class Marks:
    """One byte for each block of all marked modules: 1 where it was run."""

    def __init__(self) -> None:
        self.marks = bytearray()

    def new_number(self) -> int:
        self.marks.append(0)
        return len(self.marks) - 1

    def taken(self) -> int:
        """The marks as the bits of a number; they are cleared."""
        found = int.from_bytes(self.marks, "little")
        self.marks[:] = bytes(len(self.marks))
        return found


class _Marking(ast.NodeTransformer):
    """Puts a mark at the beginning of each body, and between the operands of ``and`` and ``or``."""

    def __init__(self, marks: Marks) -> None:
        self._marks = marks

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.FunctionDef):
            # A docstring stays first.
            node.body.insert(1 if ast.get_docstring(node) and len(node.body) > 1 else 0, self._mark())
        elif isinstance(node, ast.If | ast.For | ast.While | ast.Try | ast.ExceptHandler):
            for body in (node.body, getattr(node, "orelse", [])):
                if body:
                    body.insert(0, self._mark())
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        first, *others = node.values
        values = [first]
        for other in others:
            seen: ast.expr = ast.Call(
                func=ast.Name(id=_SEEN, ctx=ast.Load()),
                args=[ast.Constant(self._marks.new_number())],
                keywords=[],
            )
            # It gives None: whatever follows decides, as before.
            values += [
                ast.UnaryOp(op=ast.Not(), operand=seen) if isinstance(node.op, ast.And) else seen,
                other,
            ]
        return ast.BoolOp(op=node.op, values=values)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        seen = ast.Call(
            func=ast.Name(id=_SEEN, ctx=ast.Load()),
            args=[ast.Constant(self._marks.new_number())],
            keywords=[],
        )
        node.orelse = ast.BoolOp(op=ast.Or(), values=[seen, node.orelse])
        return node

    def _mark(self) -> ast.stmt:
        number = self._marks.new_number()
        return ast.parse(f"{_MARKS}[{number}] = 1").body[0]


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, marks: Marks) -> None:
        super().__init__(name, path)
        self._marking = marks

    def get_code(self, fullname: str) -> CodeType:
        """Always from the source: the stored byte code has no marks, and marked code must not be stored."""
        path = self.get_filename(fullname)
        tree = _Marking(self._marking).visit(ast.parse(self.get_data(path)))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        marks = self._marking.marks
        module.__dict__[_MARKS] = marks
        module.__dict__[_SEEN] = lambda number: marks.__setitem__(number, 1)
        super().exec_module(module)


class _Finder(MetaPathFinder):
    def __init__(self, prefixes: Sequence[str], marks: Marks) -> None:
        self._prefixes = tuple(prefixes)
        self._marks = marks

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname.startswith(self._prefixes) else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader) and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self._marks)
        return spec


def mark(*prefixes: str) -> Marks:
    """Have all modules whose names begin with one of ``prefixes`` marked when they are imported; none may be yet."""
    early = [name for name in sys.modules if name.startswith(prefixes)]
    assert not early, f"imported too early: {early}"
    marks: Final = Marks()
    sys.meta_path.insert(0, _Finder(prefixes, marks))
    importlib.invalidate_caches()
    return marks

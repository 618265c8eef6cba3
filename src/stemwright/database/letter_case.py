"""Text without its case, in SQL: the same letters and the same order on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class lowered(FunctionElement[str]):  # noqa: N801 - the name of a function, as in sqlalchemy.func
    """A text in lower case, ordered by code points.

    PostgreSQL's ``lower`` follows the locale that the cluster was made with: in ``C``, which containers often have, it
    knows ASCII only. ICU's collation ``und-x-icu`` is the same in each cluster.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, text: ColumnElement[Any]) -> None:
        super().__init__(text)


@compiles(lowered)
def _lowered(element: lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(lowered, "postgresql")
def _lowered_on_postgresql(element: lowered, compiler: SQLCompiler, **options: Any) -> str:
    return f'(lower(({compiler.process(element.clauses, **options)}) COLLATE "und-x-icu") COLLATE "C")'

"""Haystack's filters as hither's. Calls nothing but Haystack's errors; any thread.

Fields are looked for in the rows as the store writes them: "meta.PATH" below "meta", a bare name there too, "id" beside
it, "content" in the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from haystack.errors import FilterError

Where = dict[str, Any]

NEVER: Where = {"id": {"$in": []}}
_ORDER = {">": "$gt", ">=": "$gte", "<": "$lt", "<=": "$lte"}


def where_of(filters: dict[str, Any] | None) -> Where | None:
    """The filter, or None for all rows."""
    return _condition(filters) if filters else None


def _condition(condition: Any) -> Where:
    if not isinstance(condition, dict):
        raise FilterError(f"a filter is a dict, not a {type(condition).__name__}")
    if "field" in condition:
        return _comparison(condition)
    return _logic(condition)


def _need(condition: dict[str, Any], key: str) -> Any:
    if key not in condition:
        raise FilterError(f"'{key}' key missing in {condition}")
    return condition[key]


def _logic(condition: dict[str, Any]) -> Where:
    operator, parts = _need(condition, "operator"), _need(condition, "conditions")
    inner = [_condition(part) for part in parts]
    if operator not in ("AND", "OR", "NOT"):
        raise FilterError(f"Unknown logical operator '{operator}'. There are AND, OR and NOT")
    if not inner:
        raise FilterError(f"'conditions' of {operator} is empty")
    if operator == "OR":
        return {"$or": inner}
    return {"$and": inner} if operator == "AND" else {"$not": {"$and": inner}}


def _comparison(condition: dict[str, Any]) -> Where:
    field, operator, value = condition["field"], _need(condition, "operator"), _need(condition, "value")
    equal = _equal_to_content if field == "content" else _equal_to_field(field_path(field))
    if operator == "==":
        return equal(value)
    if operator == "!=":
        return {"$not": equal(value)}
    if operator in ("in", "not in"):
        if not isinstance(value, list):
            raise FilterError(f"'{operator}' takes a list, not a {type(value).__name__}")
        found = {"$or": [equal(one) for one in value]} if value else NEVER
        return found if operator == "in" else {"$not": found}
    if operator not in _ORDER:
        raise FilterError(f"Unknown comparison operator '{operator}'. There are ==, !=, >, >=, <, <=, in and not in")
    if field == "content":
        raise FilterError(f"'{operator}' is not for content; it takes ==, !=, in and not in")
    return NEVER if value is None else {field_path(field): {_ORDER[operator]: _in_order(value, operator)}}


def field_path(field: str) -> str:
    """A field of Haystack's as a path of hither's."""
    if field == "id":
        return "id"
    keys = field.split(".")
    if keys[0] == "meta":
        keys = keys[1:]
    elif len(keys) > 1 or field in ("embedding", "blob", "score", "sparse_embedding"):
        raise FilterError(f"there is no filtering by '{field}'; there are id, content and meta.NAME")
    escaped = [key.replace("\\", "\\\\") for key in keys]
    return ".".join(["meta", *("\\" + key if key.startswith("$") else key for key in escaped)])


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if not isinstance(value, (str, int, float, bool)):
        raise FilterError(f"a {type(value).__name__} cannot be compared with; give a string, number, bool or None")
    return value


def _in_order(value: Any, operator: str) -> Any:
    """What greater and less are asked about: numbers, and times in the order of their ISO 8601 texts."""
    value = _plain(value)
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise FilterError(f"'{operator}' takes numbers and ISO 8601 dates, not {value!r}") from None
    return value


def _equal_to_field(path: str) -> Callable[[Any], Where]:
    def equal(value: Any) -> Where:
        if value is None:
            return {"$or": [{path: {"$exists": False}}, {path: None}]}
        return {path: _plain(value)}

    return equal


def _equal_to_content(value: Any) -> Where:
    if not isinstance(value, str):
        raise FilterError(f"content is compared with strings, not with a {type(value).__name__}")
    return {"$document": {"$regex": rf"\A{_escaped(value)}\z"}}


def _escaped(text: str) -> str:
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)

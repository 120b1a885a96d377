"""What docs/filters.md says, once more, as plainly as Python can: whether a row matches a filter.

Independent of the library: no code is shared, and nothing here is fast. Filters are taken to be valid.
"""

from __future__ import annotations

from typing import Any

MISSING = object()


def split(path: str) -> list[str]:
    """The keys of a dotted path."""
    keys = [""]
    characters = iter(path)
    for character in characters:
        if character == "\\":
            keys[-1] += next(characters)
        elif character == ".":
            keys.append("")
        else:
            keys[-1] += character
    return keys


def reach(metadata: Any, path: str) -> Any:
    value = metadata
    for key in split(path):
        if not isinstance(value, dict) or key not in value:
            return MISSING
        value = value[key]
    return value


def kind(value: Any) -> str:
    """Values of one kind can be compared; Python compares int with float by their exact values."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "none"


def equal(value: Any, operand: Any) -> bool:
    return kind(value) == kind(operand) != "none" and value == operand


def compare(value: Any, operand: Any, operator: str) -> bool:
    if kind(value) != kind(operand) or kind(value) not in ("number", "string"):
        return False
    if isinstance(value, str):
        value, operand = value.encode(), operand.encode()
    return {
        "$gt": value > operand,
        "$gte": value >= operand,
        "$lt": value < operand,
        "$lte": value <= operand,
    }[operator]


def leaf(value: Any, operator: str, operand: Any) -> bool:
    """A positive operator on one value that is no array."""
    if operator == "$eq":
        return equal(value, operand)
    if operator == "$in":
        return any(equal(value, one) for one in operand)
    if operator == "$contains":
        return isinstance(value, str) and operand in value
    return compare(value, operand, operator)


NEGATED = {"$ne": "$eq", "$nin": "$in", "$not_contains": "$contains"}


def holds(value: Any, operator: str, operand: Any) -> bool:
    if operator in NEGATED:
        return not holds(value, NEGATED[operator], operand)
    if operator == "$exists":
        return (value is not MISSING) == operand
    if isinstance(value, list):
        return any(leaf(element, operator, operand) for element in value if not isinstance(element, list))
    return leaf(value, operator, operand)


def matches_document(document: str | None, where: dict[str, Any]) -> bool:
    def one(key: str, operand: Any) -> bool:
        if key == "$and":
            return all(matches_document(document, part) for part in operand)
        if key == "$or":
            return any(matches_document(document, part) for part in operand)
        if key == "$not":
            return not matches_document(document, operand)
        return holds(MISSING if document is None else document, key, operand)

    return all(one(key, operand) for key, operand in where.items())


def matches(metadata: dict[str, Any] | None, document: str | None, where: dict[str, Any]) -> bool:
    """Whether a row matches."""

    def one(key: str, operand: Any) -> bool:
        if key == "$and":
            return all(matches(metadata, document, part) for part in operand)
        if key == "$or":
            return any(matches(metadata, document, part) for part in operand)
        if key == "$not":
            return not matches(metadata, document, operand)
        if key == "$document":
            return matches_document(document, operand)
        value = reach(metadata, key)
        if not isinstance(operand, dict):
            return holds(value, "$eq", operand)
        return all(holds(value, operator, wanted) for operator, wanted in operand.items())

    return all(one(key, operand) for key, operand in where.items())

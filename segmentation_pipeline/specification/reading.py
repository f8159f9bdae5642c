"""YAML files -> typed models, with errors that name the file, the line and the nearest name."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from segmentation_pipeline.errors import SpecificationError

Model = TypeVar("Model", bound=BaseModel)
Place = Sequence[str | int]

_OTHER_SHAPES = {"list_type", "dict_type", "model_type"}


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is an error, not the last one's victory.

    So is a key that YAML takes for something else than text (`on`, `no`, 1), which a column may be
    called. And what looks like a date or number and is none (2025-13-45) has a line.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(
                None, None, f"`{node.value}` is no {kind}; put it in quotes if it is text",
                node.start_mark,
            ) from None  # fmt: skip


def _mapping_of_unique_keys(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(
                None, None, "a list or a mapping cannot be a key", key_node.start_mark
            )
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"`{key_node.value}` as a key is no text: put it in quotes",
                key_node.start_mark,
            )  # fmt: skip
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key `{key}` stands twice", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_of_unique_keys
)


def _read(text: str) -> tuple[yaml.Node | None, Any]:
    """Read a text once, as nodes that know their lines and as the values made of them."""
    loader = _UniqueKeyLoader(text)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


class Document:
    """A YAML file as it was read: its values, and on which line each stands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SpecificationError(f"{path}: there is no such file") from None
        except UnicodeDecodeError:
            raise SpecificationError(f"{path}: not UTF-8; save it as UTF-8") from None
        try:
            self._root, self.values = _read(text)
        except yaml.YAMLError as error:
            raise SpecificationError(_describe_syntax_error(path, error)) from None
        except RecursionError:
            raise SpecificationError(f"{path}: its values lie too deep in one another") from None

    def line(self, place: Place) -> int:
        """Find the line on which a place of the file stands, or the nearest one around it."""
        node, line = self._root, 1
        for part in place:
            child = _child(node, part)
            if child is None:
                break
            line, node = child
        return line

    def error(self, place: Place, reason: str) -> SpecificationError:
        """Make an error that names this file, the line and the path within it."""
        dotted = ".".join(str(part) for part in place)
        where = f"{self.path}:{self.line(place)}: " + (f"{dotted}: " if dotted else "")
        return SpecificationError(where + reason)


def parse(document: Document, model: type[Model]) -> Model:
    """Read a document as a model; SpecificationError names each fault's line and what to do."""
    if not isinstance(document.values, dict):
        raise SpecificationError(f"{document.path}:1: expected keys and values")
    try:
        return model.model_validate(document.values)
    except ValidationError as error:
        faults = [_describe(document, model, fault) for fault in _of_arms_meant(document, error)]
        raise SpecificationError("\n".join(str(fault) for fault in faults)) from None


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names is meant, for the end of an error message.

    >>> nearest("publicatons", ["publications", "gender"])
    'did you mean `publications`?'
    >>> nearest("x", ["publications", "gender"])
    'known are: gender, publications'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return "known are: " + ", ".join(names)


def _of_arms_meant(document: Document, error: ValidationError) -> list[ErrorDetails]:
    """Leave out that a value could have had another shape, where its own shape has a fault.

    A setting that may be a name, a list or a mapping fails in each of these ways at once.
    """
    faults = error.errors()
    places = [tuple(_place(document.values, fault["loc"])) for fault in faults]
    told = {
        place
        for place, fault in zip(places, faults, strict=True)
        if fault["type"] not in _OTHER_SHAPES
    }
    return [
        fault
        for place, fault in zip(places, faults, strict=True)
        if fault["type"] not in _OTHER_SHAPES or place not in told
    ]


def _describe(document: Document, model: type[BaseModel], fault: ErrorDetails) -> Exception:
    place = _place(document.values, fault["loc"])
    if fault["type"] == "extra_forbidden":
        siblings = _allowed_keys(model, fault["loc"][:-1])
        hint = nearest(str(fault["loc"][-1]), siblings) if siblings else ""
        return document.error(place, f"unknown key; {hint}".rstrip("; "))
    if fault["type"] == "missing":
        return document.error(place, f"`{fault['loc'][-1]}` is missing")
    reason = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    if fault["type"] == "literal_error" and isinstance(given, str):
        expected = fault.get("ctx", {}).get("expected", "")
        names = [name.strip("'") for name in expected.replace(" or ", ", ").split(", ")]
        reason = f"`{given}` is not one of {', '.join(names)}; {nearest(given, names)}"
    return document.error(place, reason)


def _place(values: Any, location: tuple[str | int, ...]) -> list[str | int]:
    """Keep the parts of pydantic's location that stand in the file (not names of union arms)."""
    place: list[str | int] = []
    for part in location:
        if part in _keys(values):
            values = values[part]
            place.append(part)
    return place


def _keys(values: Any) -> Iterable[Any]:
    if isinstance(values, dict):
        return values
    return range(len(values)) if isinstance(values, list) else ()


def _allowed_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Collect the keys that the model at a location of the file takes."""
    schema = model.model_json_schema()
    nodes = [schema]
    for part in location:
        nodes = [
            child
            for node in nodes
            for option in _options(schema, node)
            for child in _steps(option, part)
        ] or nodes
    return sorted(
        {
            key
            for node in nodes
            for option in _options(schema, node)
            for key in option.get("properties", {})
        }
    )


def _options(schema: dict[str, Any], node: dict[str, Any]) -> list[dict[str, Any]]:
    if "$ref" in node:
        return _options(schema, schema["$defs"][node["$ref"].rsplit("/", 1)[1]])
    arms = [*node.get("anyOf", []), *node.get("oneOf", [])]
    return [option for arm in arms for option in _options(schema, arm)] or [node]


def _steps(option: dict[str, Any], part: str | int) -> list[dict[str, Any]]:
    if part in option.get("properties", {}):
        return [option["properties"][part]]
    inner = option.get("items") if isinstance(part, int) else option.get("additionalProperties")
    return [inner] if isinstance(inner, dict) else []


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _describe_syntax_error(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 1
    problem = getattr(error, "problem", None) or "cannot be read"
    if problem == "mapping values are not allowed here":
        problem += "; text with a colon and a blank in it needs quotes"
    return f"{path}:{line}: not YAML: {problem}"

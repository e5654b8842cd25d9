"""Every key of a configuration, with its type, default and meaning."""

import json
from collections.abc import Iterator
from typing import Any

from pcan_pose.config.run import RunConfig


def describe_keys() -> Iterator[tuple[str, str, str, str]]:
    """Yield key, type, default and meaning of every setting, depth first."""
    schema = RunConfig.model_json_schema()
    yield from _describe(schema, schema, "")


def _describe(section: dict[str, Any], root: dict[str, Any], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    for name, entry in section["properties"].items():
        # The sections of a list are described once, with N for their position.
        items = entry.get("items") or {}
        branches = [entry, *entry.get("oneOf", []), *entry.get("anyOf", []), items]
        references = [branch["$ref"].rsplit("/", 1)[-1] for branch in branches if "$ref" in branch]
        if references and entry.get("default", ...) is None:
            yield f"{prefix}{name}", "section or null", "null", entry.get("description", "")
        for reference in references:
            place = f"{name}.N" if "$ref" in items else name
            yield from _describe(root["$defs"][reference], root, f"{prefix}{place}.")
        if not references:
            default = json.dumps(entry["default"]) if "default" in entry else "required"
            yield f"{prefix}{name}", _type(entry), default, entry.get("description", "")


def _type(entry: dict[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(_type(option) for option in entry["anyOf"])
    if "const" in entry:
        return json.dumps(entry["const"])
    if "enum" in entry:
        return " | ".join(map(str, entry["enum"]))
    if entry.get("type") == "array":
        items = entry.get("items") or (entry.get("prefixItems") or [{}])[0]
        return f"list of {_type(items)}"
    return str(entry.get("format", entry.get("type", "any")))

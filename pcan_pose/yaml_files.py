"""YAML as of version 1.2: ``1e-3`` is a number, and ``no`` and ``2026-02-30`` are words."""

from typing import Any


def load_yaml(text: str) -> Any:
    """Return the content of a YAML document, in plain containers, words and numbers.

    Raises:
        ValueError: If it is no YAML; in one line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import YAMLError

    class Constructor(SafeConstructor):
        """Without dates, which version 1.2 has not."""

    Constructor.add_constructor("tag:yaml.org,2002:timestamp", Constructor.construct_yaml_str)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    try:
        return yaml.load(text)
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error

"""The words of a YAML file, as they are written: `003`, `NO`, `1e3` are text until a declared type says otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from terraficta.synth.types.refusal import Refusal

KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
"""what is still understood: null, and merge keys"""
# YAML 1.2.2, section 10.3.2, core schema; without octal and hexadecimal numbers
INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
DECIMAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
"""what is an integer, and what another number"""
TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
"""words that are true or false; `NO` and `off` are words"""


class Words(yaml.SafeLoader):
    """A YAML reader that leaves every word as it is written, but for null; a key that stands twice is a fault."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in rules if tag in KEPT]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As YAML does, with every key once."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != KEPT[1]:
                if key.value in seen:
                    text = f"the key {key.value} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
                seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def parse_words(text: str, where: str | Path) -> Any:
    """Content of YAML text whose words are as written.

    Raises
    ------
    Refusal
        no valid YAML

    Examples
    --------
    >>> parse_words("{name: NO, code: 003, scale: 1e3, none: null}", "a.yaml")
    {'name': 'NO', 'code': '003', 'scale': '1e3', 'none': None}
    """
    try:
        return yaml.load(text, Loader=Words)
    except yaml.YAMLError as error:
        raise Refusal(where, "yaml", " ".join(str(error).split()), "valid YAML", "correct the file") from error


def read_words(path: Path) -> Any:
    """Content of a YAML file whose words are as written; see `parse_words`."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(path, "yaml", str(error), "text in UTF-8", "save the file as UTF-8") from error
    return parse_words(text, path)


def plain_values(content: Any) -> Any:
    """Numbers and truths of words, by the core schema of YAML 1.2: for what has no declared type.

    Examples
    --------
    >>> plain_values({"dims": ["8", "1e3"], "flag": "true", "word": "NO", "code": "003"})
    {'dims': [8, 1000.0], 'flag': True, 'word': 'NO', 'code': '003'}
    """
    if isinstance(content, dict):
        return {key: plain_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [plain_values(value) for value in content]
    if not isinstance(content, str):
        return content
    if content in TRUTHS:
        return TRUTHS[content]
    if INTEGER.fullmatch(content):
        return int(content)
    coded = re.match(r"[-+]?0[0-9]", content)
    return float(content) if DECIMAL.fullmatch(content) and not coded else content

"""The recipe: a frozen, whole set of choices in one YAML file; typed, whole, and few; its words are as written."""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

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


def _ordered(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        raise ValueError("the first number of a span must not exceed the second")
    return span


Span = Annotated[tuple[float, float], AfterValidator(_ordered)]
"""(least, most): a number that is drawn anew for every scene."""
Share = Annotated[float, Field(ge=0, le=1)]


def between(least: float, most: float, mend: str) -> AfterValidator:
    def check(span: tuple[float, float]) -> tuple[float, float]:
        if not least <= span[0] <= span[1] <= most:
            limits = f"numbers of at least {least:g}" + (f" and at most {most:g}" if most < math.inf else "")
            raise Refusal("", "", span, limits, mend)
        return span

    return AfterValidator(check)


ShareSpan = Annotated[Span, between(0.0, 1.0, "write shares, such as [0.0, 0.25]")]
AmountSpan = Annotated[Span, between(0.0, math.inf, "write amounts that are not negative")]
SizeSpan = Annotated[Span, between(1e-3, math.inf, "write sizes above zero")]


class Recipe(BaseModel):
    """A frozen, whole set of choices; unknown fields are refused, defaults stand in the class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, name_or_file: str | Path, folder: Path, changes: list[str] | None = None) -> Self:
        """Read a recipe by name (from `folder`) or file, with `a.b=value` changes applied."""
        path = Path(name_or_file)
        if path.suffix not in {".yaml", ".yml"}:
            path = folder / f"{name_or_file}.yaml"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
            raise Refusal(name_or_file, "recipe", "no such recipe", f"a YAML file or one of {known}", "check the name")
        content = read_words(path) or {}
        if not isinstance(content, dict):
            raise Refusal(path, "yaml", type(content).__name__, "keys and values", "see the recipes that ship")
        for change in changes or []:
            _apply(content, change)
        return cls.from_dict(content, where=path)

    @classmethod
    def from_dict(cls, content: dict[str, Any], where: str | Path) -> Self:
        """Validate; the first fault becomes a `Refusal` that names its field."""
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            fault = first.get("ctx", {}).get("error")
            if isinstance(fault, Refusal):
                field = ".".join(part for part in (name, fault.field) if part)
                raise Refusal(where, field, fault.found, fault.expected, fault.mend) from error
            name = name or "recipe"
            raise Refusal(where, name, first.get("input"), first["msg"], "correct this field") from error

    def digest(self) -> str:
        """12 hex digits that identify the content, whatever file it came from."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _apply(content: dict[str, Any], change: str) -> None:
    name, sep, value = change.partition("=")
    if not sep:
        raise Refusal("--set", change, "no '='", "a.b=value", "write --set light.sza_deg=[30,30]")
    *parents, last = name.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise Refusal("--set", change, f"{parent} without fields", "a.b=value", "write the name of a field")
    content[last] = parse_words(value, f"--set {change}")

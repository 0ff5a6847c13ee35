"""The pages: how a report is put together from its templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from terraficta.synth.types.run import whole_file


def write_page(template: str, path: Path, **content: Any) -> int:
    """Fill a template of this folder and write it, whole or not at all; its size [bytes]."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    text = environment.get_template(template).render(**content)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return len(text.encode())

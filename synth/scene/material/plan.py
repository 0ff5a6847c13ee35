"""temporary"""

from collections.abc import Mapping
from typing import Any

MaterialPlan = tuple


def draw_material_plan(key: Any, facts: Mapping[str, Any]) -> Any:
    return ((key, facts),)

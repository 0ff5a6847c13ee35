"""Questions on disk: JSON lines, sheets, pictures, and the corpus that proves every answer."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terraficta.synth.ask import analysing, extracting, grounding, reasoning, referring
from terraficta.synth.ask.balance import Group, blind_ceiling, choose
from terraficta.synth.ask.case import Case, case_of
from terraficta.synth.ask.printed import print_picture, print_sheet
from terraficta.synth.corpus.corpus import read_corpus
from terraficta.synth.corpus.journal import TILES
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import Run, read_run, whole_folder

TASKS = (*extracting.TASKS, *referring.TASKS, *grounding.TASKS, *reasoning.TASKS, *analysing.TASKS)
STAGE, LINES, SHEETS, PICTURES = "questions", "questions.jsonl", "sheets", "pictures"
PRINTED = "printed.json"
"""what stands on every sheet: the proof of what is read off it"""
LETTERS = "ABCD"


def write_questions(corpus: Path, out: Path, count: int) -> dict[str, Any]:
    """Ask questions of the tiles of a corpus.

    The folder holds `questions.jsonl`, `sheets/` and `pictures/` (PNG), `printed.json` and `run.json`. A line has `id`,
    `ability`, `type` (ability-task), `question`, `choices`, `A` .. `D`, `answer` (its letter), `answer_text`, `mcq`,
    `img_path` (the sheet), `picture_path`, `tile`, `group`, and `proof`: the files that settle it.

    Parameters
    ----------
    corpus : Path
        folder that `synth make` wrote, with heights
    out : Path
        new or empty folder
    count : int
        questions, at most: fewer where the scenes do not give so many that are balanced

    Returns
    -------
    dict[str, Any]
        What run.json says

    Raises
    ------
    Refusal
        too few scenes, or scenes without heights
    """
    run = Run(STAGE, {"count": count}, seed=0, parents={"corpus": read_run(corpus).get("digest")})
    with whole_folder(out) as partial:
        for name in (SHEETS, PICTURES):
            (partial / name).mkdir()
        cases = []
        for tile in read_corpus(corpus):
            cases.append(case_of(tile))
            print_sheet(cases[-1]).save(partial / SHEETS / f"{tile.id}.png")
            print_picture(tile).save(partial / PICTURES / f"{tile.id}.png")
        groups = choose(TASKS, cases, count)
        if not groups:
            found, mend = f"{len(cases)} scenes without one balanced question", "make a corpus of more scenes"
            raise Refusal(corpus, "scenes", found, "scenes of which each choice is right somewhere", mend)
        rows = rows_of(groups, os.path.relpath(corpus / TILES, out))
        printed = {case.id: _printed(case) for case in cases}
        (partial / PRINTED).write_text(json.dumps(printed, indent=1) + "\n")
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (partial / LINES).write_text(text)
        metrics = summary_of(rows) | {"scenes": len(cases)}
        record = run.record(metrics, digest=hashlib.blake2b(text.encode(), digest_size=6).hexdigest())
        (partial / "run.json").write_text(json.dumps(record, indent=1, default=str) + "\n")
    return record


def rows_of(groups: Sequence[Group], tiles: str) -> list[dict[str, Any]]:
    """Lines of questions.jsonl; `tiles` is the folder of the tiles of the corpus."""
    rows: list[dict[str, Any]] = []
    for number, group in enumerate(groups):
        for right, case in enumerate(group.cases):
            rows.append(
                {
                    "id": len(rows),
                    "ability": group.task.ability,
                    "type": f"{group.task.ability}-{group.task.name}",
                    "question": group.wording.text,
                    "choices": list(group.wording.choices),
                    **dict(zip(LETTERS, group.wording.choices, strict=False)),
                    "answer": LETTERS[right],
                    "answer_text": group.wording.choices[right],
                    "mcq": True,
                    "img_path": f"{SHEETS}/{case.id}.png",
                    "picture_path": f"{PICTURES}/{case.id}.png",
                    "tile": case.id,
                    "group": number,
                    "proof": [
                        PRINTED if layer == "sheet" else f"{tiles}/{case.id}/{layer}.tif" for layer in group.task.layers
                    ],
                }
            )
    return rows


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many there are, of what, and how well they can be answered blind: by the best that words allow, by chance."""
    return {
        "questions": len(rows),
        "abilities": dict(Counter(row["ability"] for row in rows)),
        "types": dict(Counter(row["type"] for row in rows)),
        "chance": sum(1 / len(row["choices"]) for row in rows) / len(rows),
        "blind_ceiling": blind_ceiling([dict(row) for row in rows]),
    }


def _printed(case: Case) -> dict[str, Any]:
    return {"title": case.title, "bar_m": case.bar_m, "climate": case.climate, "codes": case.codes}

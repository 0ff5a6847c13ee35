"""The proof of a corpus: every file is what was written, none is missing or foreign, and the recipe makes it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from terraficta.synth.corpus.corpus import (
    CARD,
    LINES,
    REMAKE,
    RUN,
    SUMS,
    Progress,
    read_card,
    read_corpus,
    read_lines,
)
from terraficta.synth.corpus.geotiff import IMAGE, sha256_of
from terraficta.synth.corpus.journal import TILES
from terraficta.synth.corpus.order import Order, given_as_data
from terraficta.synth.instrument.product import to_dn
from terraficta.synth.labels.recipe import LabelRecipe
from terraficta.synth.scene.terrain.given_land import GivenLand
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.run import read_run
from terraficta.synth.types.scene_recipe import SceneRecipe
from terraficta.synth.types.tile import Tile

MOST_NAMED = 12
"""faults that are told one by one"""


def verify_corpus(
    folder: Path,
    render_again: int = 0,
    device: str = "cpu",
    progress: Progress | None = None,
    given: GivenLand | None = None,
) -> dict[str, int]:
    """Compare every file with its checksum; and, if asked, some tiles with what the recipe makes now.

    Parameters
    ----------
    folder : Path
        of the corpus
    render_again : int
        how many tiles, evenly spread, are rendered again and compared
    device : str
        to render on; on another than the corpus was made on, stored numbers may differ by 1
    progress : Progress | None
        is told of checked files
    given : GivenLand | None
        the real land that the corpus was grown on, where it was and tiles are to be rendered again

    Returns
    -------
    dict[str, int]
        {"tiles", "files", "bytes", "rendered"}

    Raises
    ------
    Refusal
        names the files that are missing, truncated, flipped, changed or foreign; or the tile that the recipe makes
        otherwise
    """
    card, files, size, faults = read_card(folder), 0, 0, []
    listed = _read_sums(folder)
    for name, expected in listed.items():
        path = folder / name
        if not path.is_file():
            faults.append((name, "file", "nothing: it is missing", "a file of this corpus"))
            continue
        found = sha256_of(path)
        if found != expected:
            faults.append((name, "checksum", f"{found[:12]}...", f"{expected[:12]}..."))
        files, size = files + 1, size + path.stat().st_size
        if progress is not None:
            progress(1)
    foreign = [(name, "file", "one that is foreign", "only files of this corpus") for name in _foreign(folder, listed)]
    if faults:
        raise _refusal(folder, faults + foreign)
    records = list(read_lines(folder))
    if len(records) != card["count"]:
        raise Refusal(folder / LINES, "tiles", len(records), f"{card['count']}, as corpus.json says", REMAKE)
    for record in records:
        if f"{TILES}/{record['id']}/{IMAGE}" not in listed:
            raise Refusal(folder / SUMS, "files", f"no {record['id']}", f"every tile of {LINES}", REMAKE)
    if foreign:
        raise _refusal(folder, foreign)
    rendered = _compare(folder, card, render_again, pick_device(device), given) if render_again else 0
    return {"tiles": len(records), "files": files, "bytes": size, "rendered": rendered}


def _refusal(folder: Path, faults: list[tuple[str, str, str, str]]) -> Refusal:
    """One line that names the first faults, and how each file differs."""
    sizes = _sizes(folder)
    told = []
    for name, field, found, expected in faults[:MOST_NAMED]:
        how = ""
        if field == "checksum":
            now, was = (folder / name).stat().st_size, sizes.get(name)
            how = "changed" if was is None else "flipped" if now == was else "truncated" if now < was else "grown"
            found += f" ({Path(name).name} was {how}" + (")" if was in (None, now) else f", {now} of {was} bytes)")
        told.append((name, field, found, expected))
    name, field, found, expected = told[0]
    foreign = all("foreign" in fault[2] for fault in faults)
    mend = "remove what is not its own" if foreign else REMAKE
    if len(faults) > 1:
        others = "; ".join(f"{name}: {found}" for name, _, found, _ in told[1:])
        rest = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
        found += f" [{len(faults)} faults; also {others}{rest}]"
    return Refusal(folder / name, field, found, expected, mend)


def _sizes(folder: Path) -> dict[str, int]:
    """Sizes of files as they were written, of what the corpus says of them, if it can still be read."""
    sizes: dict[str, int] = {}
    try:
        sizes |= {name: int(size) for name, size in read_run(folder).get("bytes", {}).items()}
        for record in read_lines(folder):
            own = record.get("bytes", {})
            sizes |= {f"{TILES}/{record['id']}/{name}": int(size) for name, size in own.items()}
    except (Refusal, AttributeError, KeyError, TypeError):
        return sizes  # they are damaged themselves: what is known must do
    return sizes


def _foreign(folder: Path, listed: dict[str, str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in listed and name != SUMS:
            yield name


def _read_sums(folder: Path) -> dict[str, str]:
    path = folder / SUMS
    if not path.is_file():
        raise Refusal(path, "file", "nothing", "the checksums of this corpus", REMAKE)
    sums = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name:
            raise Refusal(f"{path}:{number}", "checksum", repr(line[:40]), "sha256, two blanks, a file name", REMAKE)
        sums[name] = digest
    for name in (CARD, LINES, RUN):
        if name not in sums:
            raise Refusal(path, "files", f"no {name}", "every file of the corpus", REMAKE)
    return sums


def _compare(folder: Path, card: dict[str, Any], wanted: int, device: str, given: GivenLand | None) -> int:
    """Render some tiles again and refuse the first that differs from its files."""
    recipe = SceneRecipe.from_dict(card["recipe"], where=folder / CARD)
    _require_land(folder, card["given"], given)
    labels = None if card["labels"] is None else LabelRecipe.from_dict(card["labels"], where=folder / CARD)
    order = Order(recipe, card["seed"], labels, given)
    scenes = card["count"] // recipe.time.dates
    chosen = set(range(0, scenes, max(1, scenes // wanted))[:wanted])
    allowed, again = 0 if device == card["device"] else 1, {}
    for number, stored in enumerate(read_corpus(folder)):
        index, date = divmod(number, recipe.time.dates)
        if index not in chosen:
            continue
        if index not in again:
            again = {index: order.make([index], device)[0]}
        _require_equal(folder, stored, again[index][date][0], allowed)
    return len(chosen)


def _require_land(folder: Path, recorded: Any, given: GivenLand | None) -> None:
    """Refuse to render on other land than the corpus was grown on."""
    found: Any = None if given is None else given_as_data(given)
    if recorded == found:
        return
    if recorded is None:
        raise Refusal(folder / CARD, "given", "none: it is all fiction", "no --dem and no --cover", "leave them out")
    if not isinstance(recorded, dict):
        mend = "verify without --render-again: the checksums tell whether files were changed"
        raise Refusal(folder / CARD, "given", f"{recorded}, without a digest", "a digest of the land", mend)
    options = ["--dem FILE"] * recorded["dem"]
    options += [f"--cover FILE --cover-legend {recorded['cover']}"] if recorded["cover"] else []
    where = "none" if given is None else f"another ({found['name']}, digest {found['digest']})"
    expected = f"the land it was grown on: {recorded['name']}, digest {recorded['digest']}"
    raise Refusal("--render-again", "given land", where, expected, f"add {' '.join(options)}, the same as then")


def _require_equal(folder: Path, stored: Tile, made: Tile, allowed: int) -> None:
    where = folder / TILES / stored.id / IMAGE
    found = to_dn(made.image, made.sensor, made.valid).cpu().int()
    apart = int((found - to_dn(stored.image, stored.sensor, stored.valid).int()).abs().max())
    mend = "it was made by another version (see run.json): make it again, or use that version"
    if apart > allowed:
        raise Refusal(where, "pixels", f"up to {apart} DN from what the recipe makes", f"at most {allowed}", mend)
    if not _equal(made.mass.cpu(), stored.mass):
        raise Refusal(where.with_name("mass.tif"), "class mass", "another", "what the recipe makes", mend)


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))

"""The study of domains: real tiles or fictional ones, from tiles to a record with tables and sentences."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from terraficta.eval.domains.domain import By, Domain, make_domains
from terraficta.eval.domains.fiction import FictionAmounts, climate_tiles, season_tiles
from terraficta.eval.domains.label_error import run_label_error
from terraficta.eval.domains.transfer import TransferAmounts, run_transfer, transfer_tables
from terraficta.eval.experiment import Experiment
from terraficta.eval.table import Table
from terraficta.finetune.tileset.manifest import MANIFEST
from terraficta.finetune.tileset.meanings import propose_meanings
from terraficta.finetune.tileset.tileset import read_tileset
from terraficta.pretrain.weights import SHIPPED, read_weights, weights_digest
from terraficta.synth.types.tile import Tile

KIND = "domains"
Tell = Callable[[str], None]


def study_tileset(
    folder: Path,
    out: Path,
    by: By,
    *,
    least: int = 3,
    weights: Path | None = None,
    amounts: TransferAmounts | None = None,
    tell: Tell = print,
) -> list[Table]:
    """The matrix of a real tileset, by what its scenes say of region or date."""
    tileset = read_tileset(folder)
    amounts = amounts or TransferAmounts()
    domains = make_domains(list(tileset.tiles()), by, least)
    files = hashlib.blake2b(digest_size=6)
    for path in tileset.files:
        files.update(f"{path.name} {path.stat().st_size}".encode())
    files.update((folder / MANIFEST).read_bytes())
    made_of = {"tileset": tileset.name, "files": files.hexdigest(), "weights": weights_digest(weights or SHIPPED)}
    experiment = Experiment(
        out, KIND, made_of | {"by": by, "amounts": vars(amounts)}, parents={"weights": made_of["weights"]}
    )
    mapper, _ = read_weights(weights)
    found = run_transfer(experiment, domains, mapper, tileset.meanings, amounts, made_of, tell)
    tables = [domain_table(domains, tileset.name), *transfer_tables(found, by)]
    experiment.write(tables, said=[f"{tileset.name}, by {by}: {len(domains)} domains"], domains=len(domains))
    return tables


def study_fiction(
    out: Path,
    by: By = "region",
    *,
    scenes: int = 12,
    seed: int = 20_480,
    labels: bool = True,
    weights: Path | None = None,
    amounts: TransferAmounts | None = None,
    fiction: FictionAmounts | None = None,
    climates: Sequence[str] | None = None,
    tell: Tell = print,
) -> list[Table]:
    """The matrix of fictional climates (by region), or of four seasons of the same land (by date)."""
    amounts, fiction = amounts or TransferAmounts(), fiction or FictionAmounts(scenes=scenes, seed=seed)
    kind = "climate" if by == "region" else "season"
    made_of: dict[str, Any] = {"fiction": vars(fiction), "kind": kind, "weights": weights_digest(weights or SHIPPED)}
    tell(f"draw {fiction.scenes} scenes of each {kind}")
    tiles: list[Tile] = list(
        (climate_tiles(fiction, climates) if climates else climate_tiles(fiction))
        if by == "region"
        else season_tiles(fiction)
    )
    domains = make_domains(tiles, "region" if by == "region" else "date")
    experiment = Experiment(out, KIND, made_of | {"amounts": vars(amounts)}, seed, {"weights": made_of["weights"]})
    mapper, _ = read_weights(weights)
    meanings = propose_meanings(tiles[0].legend.classes)
    found = run_transfer(experiment, domains, mapper, meanings, amounts, made_of, tell)
    tables = [domain_table(domains, f"fiction, seed {fiction.seed}"), *transfer_tables(found, kind)]
    if labels:
        tables.insert(2, run_label_error(experiment, domains, mapper, meanings, amounts, made_of, tell))
    experiment.write(tables, said=[f"fiction, by {kind}: {len(domains)} domains"], domains=len(domains))
    return tables


def domain_table(domains: Sequence[Domain], name: str) -> Table:
    """What there is in each domain."""
    rows: list[list[Any]] = []
    for domain in domains:
        classes = torch.stack([plot.tile.mass[:, plot.mask].sum(1) for plot in (*domain.learn, *domain.check)]).sum(0)
        shares = classes / classes.sum()
        most = sorted(zip(shares.tolist(), domain.learn[0].tile.legend.classes, strict=True), reverse=True)[:3]
        rows.append([domain.name, len(domain.learn), len(domain.check), ", ".join(f"{n} {s:.2f}" for s, n in most)])
    note = (
        "Plots share no ground where the tileset's folds part them; where whole tiles were dealt, tiles of one region "
    )
    note += "may overlap, and what is scored at home is then too good."
    return Table(f"Domains of {name}", note, ["domain", "learn", "test", "largest classes"], rows)

"""Studies: commands that put a question to the whole house and leave a record with tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from terraficta.eval.domains.domain import By
from terraficta.synth.types.device import pick_device
from terraficta.synth.types.refusal import Refusal

app = typer.Typer(help="Studies.")
Out = Annotated[Path, typer.Option(help="folder; cells that stand there already are not computed again")]
Weights = Annotated[Path | None, typer.Option(help="in place of those that ship")]
Seed = Annotated[int, typer.Option(help="of the fictional world; not one of pretraining")]


def _kind(command: str, by: str) -> By:
    for known in get_args(By):
        if by == known:
            return known
    raise Refusal(command, "--by", by, ", ".join(get_args(By)), "use one of them")


def _say(tables: list[Any], record: Path) -> None:
    for table in tables:
        typer.echo(table.text() + "\n")
    typer.echo(record)


@app.command()
def domains(
    out: Out,
    tileset: Annotated[Path | None, typer.Option(help="folder of real tiles; without it, fictional ones")] = None,
    by: Annotated[str, typer.Option(help="region, date or season")] = "region",
    scenes: Annotated[int, typer.Option(min=4, help="fictional scenes of each climate or season")] = 12,
    least: Annotated[int, typer.Option(min=2, help="plots to learn from and to test on that a domain needs")] = 3,
    climates: Annotated[str | None, typer.Option(help="of fiction, with commas; without it, all")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="draws of labelled pixels")] = 3,
    labels: Annotated[bool, typer.Option(help="part label error from domain shift (fiction alone)")] = True,
    densenet_steps: Annotated[
        int, typer.Option(min=0, help="train an FC-DenseNet in every domain too, for so many steps; 0: none")
    ] = 0,
    seed: Seed = 20_480,
    weights: Weights = None,
) -> None:
    """Learn in one region or season, map another: matrix, gaps and their significance."""
    from terraficta.eval.domains.study import study_fiction, study_tileset
    from terraficta.eval.domains.transfer import TransferAmounts

    amounts = TransferAmounts(seeds=seeds, densenet_steps=densenet_steps)
    if tileset is not None:
        made = study_tileset(
            tileset, out, _kind("domains", by), least=least, weights=weights, amounts=amounts, tell=typer.echo
        )
    else:
        made = study_fiction(
            out, _kind("domains", by), scenes=scenes, seed=seed, labels=labels, weights=weights, amounts=amounts,
            tell=typer.echo,
            climates=None if climates is None else [name.strip() for name in climates.split(",")],
        )  # fmt: skip
    _say(made, out / "run.json")


@app.command()
def sen12ms(
    root: Annotated[Path, typer.Option(help="that holds the folders ROIs1158_spring, ...")],
    out: Annotated[Path, typer.Option(help="new folder for the tileset")],
    patches: Annotated[int, typer.Option(min=0, help="of each scene; 0: all")] = 4,
) -> None:
    """Write a tileset that shows SEN12MS: continents as regions, seasons as dates."""
    from terraficta.eval.domains.sen12ms import write_sen12ms_tileset

    made = write_sen12ms_tileset(root, out, patches)
    typer.echo(f"{len(made)} patches of {len({s.entry.region for s in made.scenes})} continents")
    typer.echo(out / "tileset.yaml")


@app.command()
def ablate(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders")],
    out: Out,
    recipe: Annotated[str, typer.Option(help="of pretraining: name or file")] = "small",
    steps: Annotated[int | None, typer.Option(min=1, help="of each pretraining, in place of the recipe's")] = None,
    variants: Annotated[str | None, typer.Option(help="with commas; without it, all")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="pretrainings of each variant")] = 2,
    labels_per_class: Annotated[int, typer.Option(min=1, help="of the few-label score")] = 25,
    draws: Annotated[int, typer.Option(min=1, help="of labels")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
) -> None:
    """What each part of the generator and of the objective is worth on real land, and what it costs."""
    from terraficta.eval.fidelity.ablation import ablate as run_ablation
    from terraficta.eval.fidelity.judge import JudgeAmounts
    from terraficta.pretrain.recipe import read_pretrain_recipe

    chosen = read_pretrain_recipe(recipe, [] if steps is None else [f"steps={steps}"])
    names = None if variants is None else [name.strip() for name in variants.split(",")]
    made = run_ablation(
        chosen, tileset, out, seeds=seeds, names=names, device=pick_device(device), tell=typer.echo,
        amounts=JudgeAmounts(labels_per_class=labels_per_class, draws=draws),
    )  # fmt: skip
    _say(made, out / "run.json")


@app.command()
def realism(
    tileset: Annotated[list[Path], typer.Option(help="tileset folders")],
    out: Out,
    scenes: Annotated[int, typer.Option(min=4, help="fictional scenes of each tier")] = 24,
    tiers: Annotated[str, typer.Option(help="with commas")] = "tier0,tier1,tier2,tier3",
    seed: Seed = 5,
    weights: Weights = None,
) -> None:
    """How like real tiles fiction is, tier by tier: statistics, a classifier, features, and what gives it away."""
    from terraficta.eval.realism.study import TIERS, study_realism

    chosen = [name.strip() for name in tiers.split(",")]
    for name in chosen:
        if name not in TIERS:
            raise Refusal("realism", "--tiers", name, f"among {', '.join(TIERS)}", "correct the name")
    made = study_realism(tileset, out, tiers=chosen, scenes=scenes, seed=seed, weights=weights, tell=typer.echo)
    _say(made, out / "run.json")


@app.command()
def landscapes(
    tileset: Annotated[Path, typer.Option(help="folder of real tiles that name regions or dates")],
    out: Out,
    by: Annotated[str, typer.Option(help="region, date or season")] = "region",
    weights: Weights = None,
) -> None:
    """Clusters of patches by domain, and whether familiarity foretells accuracy on unseen land."""
    from terraficta.eval.domains.landscape_study import study_landscapes

    made = study_landscapes(tileset, out, _kind("landscapes", by), weights=weights, tell=typer.echo)
    _say(made, out / "run.json")


@app.command()
def explain(
    out: Out,
    scenes: Annotated[int, typer.Option(min=4, help="fictional scenes that are asked about")] = 12,
    randoms: Annotated[int, typer.Option(min=1, help="networks with random weights that are asked the same")] = 2,
    seed: Seed = 77_000,
    weights: Weights = None,
) -> None:
    """What the network looks at, held against causes known in fiction; needs captum."""
    try:
        import captum  # noqa: F401
    except ImportError:
        raise Refusal("explain", "captum", "no such package", "captum 0.7 or later", "pip install captum") from None
    from terraficta.eval.explain.study import study_explanation

    made = study_explanation(out, scenes=scenes, randoms=randoms, seed=seed, weights=weights, tell=typer.echo)
    _say(made, out / "run.json")


@app.command()
def encoders(
    out: Out,
    seeds: Annotated[int, typer.Option(min=1, help="draws of places")] = 3,
    steps: Annotated[int, typer.Option(min=1, help="of each training")] = 400,
) -> None:
    """Encoders of place on a checkerboard over the globe: spherical harmonics beside sines of angles."""
    from terraficta.eval.location.study import study_location

    _say(study_location(out, seeds=seeds, steps=steps, tell=typer.echo), out / "run.json")


@app.command("slice")
def slice_command(
    out: Out,
    groups: Annotated[Path | None, typer.Option(help="of pretrain render; without it, the generator")] = None,
    count: Annotated[int, typer.Option(min=1, help="episodes")] = 8,
    seed: Seed = 9,
    weights: Weights = None,
) -> None:
    """The loss of pretraining on lines through the weights: across, and from random weights to them."""
    from terraficta.eval.fidelity.slice import study_slice

    made = study_slice(out, weights=weights, groups=groups, count=count, seed=seed, tell=typer.echo)
    _say(made, out / "run.json")

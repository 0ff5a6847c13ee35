"""Boxes of buildings in files that loaders of detectors read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from terraficta.synth.corpus.boxes import PARTS, write_detection
from terraficta.synth.corpus.corpus import read_corpus, write_corpus
from terraficta.synth.types.refusal import Refusal
from terraficta.synth.types.scene_recipe import read_scene_recipe
from terraficta.synth.types.tile import Tile

COUNT = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes") / "corpus"
    changes = ["size_px=64", "gsd_m=[1,1]", "cover.settlement=[0.5,0.5]", "truth.layers=[building]",
               "instrument.sensors=[worldview2]"]  # fmt: skip
    write_corpus(read_scene_recipe("tier1", changes), 11, COUNT, folder)
    return folder


@pytest.fixture(scope="module")
def written(corpus: Path) -> Path:
    made = write_detection(corpus, corpus.parent / "detection")
    assert made["images"] == COUNT
    assert made["boxes"] > 10
    return corpus.parent / "detection"


@pytest.fixture(scope="module")
def tiles(corpus: Path) -> dict[str, Tile]:
    return {tile.id: tile for tile in read_corpus(corpus)}


def boxes_by_hand(tile: Tile) -> set[tuple[int, int, int, int]]:
    """(x0, y0, x1, y1) around the pixels of every number."""
    plane, found = tile.layers["building"].numpy(), set()
    for number in np.unique(plane[plane > 0]):
        y, x = np.nonzero(plane == number)
        found.add((int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1))
    return found


def test_coco_holds_the_boxes_of_the_truth(written: Path, tiles: dict[str, Tile]) -> None:
    seen = 0
    for part in PARTS:
        said = json.loads((written / "annotations" / f"instances_{part}.json").read_text())
        for image in said["images"]:
            picture = Image.open(written / "images" / part / image["file_name"])
            assert (picture.size, picture.mode) == ((image["width"], image["height"]), "RGB")
            own = [a["bbox"] for a in said["annotations"] if a["image_id"] == image["id"]]
            found = {(x, y, x + w, y + h) for x, y, w, h in own}
            assert found == boxes_by_hand(tiles[Path(image["file_name"]).stem])
            seen += 1
        assert len({a["id"] for a in said["annotations"]}) == len(said["annotations"])
    assert seen == COUNT


def test_yolo_holds_the_same_boxes(written: Path, tiles: dict[str, Tile]) -> None:
    """Read as YOLO's own loaders do: data.yaml, then for `images/...png` the file `labels/...txt`."""
    about = yaml.safe_load((written / "data.yaml").read_text())
    assert about["names"] == {0: "building"}
    seen = 0
    for part in PARTS:
        for picture in sorted((written / about[part]).glob("*.png")):
            label = Path(str(picture).replace("/images/", "/labels/")).with_suffix(".txt")
            rows = np.array([line.split() for line in label.read_text().splitlines()], float).reshape(-1, 5)
            assert (rows[:, 0] == 0).all()
            assert ((rows[:, 1:] >= 0) & (rows[:, 1:] <= 1)).all()
            width, height = Image.open(picture).size
            middle, side = rows[:, 1:3] * (width, height), rows[:, 3:] * (width, height)
            found = {
                tuple(row) for row in np.hstack([middle - side / 2, middle + side / 2]).round().astype(int).tolist()
            }
            assert found == boxes_by_hand(tiles[picture.stem])
            seen += 1
    assert seen == COUNT


def test_the_detector_of_torchvision_learns_from_the_files(written: Path) -> None:
    """Its own data set where pycocotools is there, else its format read by hand; then a step of its Faster R-CNN."""
    torchvision = pytest.importorskip("torchvision")
    try:
        data = torchvision.datasets.CocoDetection(
            written / "images" / "train", written / "annotations" / "instances_train.json"
        )
        pairs = [data[n] for n in range(2)]
    except ModuleNotFoundError:
        said = json.loads((written / "annotations" / "instances_train.json").read_text())
        pairs = [
            (
                Image.open(written / "images" / "train" / image["file_name"]).convert("RGB"),
                [a for a in said["annotations"] if a["image_id"] == image["id"]],
            )
            for image in said["images"][:2]
        ]
    images = [torch.from_numpy(np.asarray(picture.convert("RGB"))).permute(2, 0, 1) / 255 for picture, _ in pairs]
    targets = []
    for _, annotations in pairs:
        box = torch.tensor([a["bbox"] for a in annotations], dtype=torch.float32).reshape(-1, 4)
        box[:, 2:] += box[:, :2]
        targets.append(
            {"boxes": box, "labels": torch.tensor([a["category_id"] for a in annotations], dtype=torch.int64)}
        )
    torch.manual_seed(0)
    detector = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=2, min_size=128, max_size=128
    )
    losses = detector.train()(images, targets)
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert float(losses["loss_box_reg"]) > 0, "boxes were found to learn from"


def test_tiles_without_boxes_are_refused(tmp_path: Path) -> None:
    write_corpus(read_scene_recipe("tier0", ["size_px=16"]), 3, 1, tmp_path / "plain")
    with pytest.raises(Refusal, match="boxes: found none"):
        write_detection(tmp_path / "plain", tmp_path / "out")

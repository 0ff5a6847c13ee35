"""The model item: valid STAC that pystac's own extension reads, with the classes and the file that it speaks of."""

import json
from pathlib import Path

import pystac
import pytest

from terraficta.pretrain.export.item import write_model_item
from terraficta.pretrain.weights import SHIPPED, read_weights


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model_item(tmp_path_factory.mktemp("item") / "item.json")


def test_valid_by_the_core_of_stac(page: Path) -> None:
    pytest.importorskip("jsonschema")
    pystac.validation.validate_dict(json.loads(page.read_text()), extensions=[])


def test_valid_by_the_schemas_of_the_extensions(page: Path) -> None:
    pytest.importorskip("jsonschema")
    try:
        assert pystac.Item.from_file(str(page)).validate()
    except (OSError, pystac.validation.GetSchemaError) as error:
        pytest.skip(f"schemas of extensions cannot be fetched: {error}")


def test_pystac_reads_the_model(page: Path) -> None:
    mlm = pytest.importorskip("pystac.extensions.mlm")
    item = pystac.Item.from_file(str(page))
    model, (mapper, _) = mlm.MLMExtension.ext(item), read_weights()
    assert model.total_parameters == sum(p.numel() for p in mapper.parameters())
    assert model.input[0].bands == []
    features, logits = model.output
    assert features.result.shape[1] == mapper.width
    assert [c.name for c in logits.classes] == list(mapper.legend.classes)
    asset = mlm.AssetGeneralMLMExtension.ext(item.assets["model"])
    assert asset.artifact_type == "safetensors.torch.save_file"
    assert item.assets["model"].extra_fields["file:size"] == SHIPPED.stat().st_size


def test_the_entrypoint_loads_the_file(page: Path) -> None:
    module, name = json.loads(page.read_text())["assets"]["model"]["mlm:entrypoint"].split(":")
    load = getattr(__import__(module, fromlist=[name]), name)
    assert load(SHIPPED)[0].width == read_weights()[0].width

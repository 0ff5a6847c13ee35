"""Names of classes: what they are understood as, and what is refused."""

import pytest
import torch

from terraficta.finetune.tileset.meanings import WORDS as OURS
from terraficta.finetune.tileset.meanings import Meanings, propose_meanings, read_lexicon, understand
from terraficta.synth.types.crosswalk import crosswalk_to, legend_names, read_legend
from terraficta.synth.types.legend import TERRAFICTA
from terraficta.synth.types.refusal import Refusal

WORDS = {
    "deciduous_forest": """
        forest, Forests, tree cover, Tree_Cover, tree-cover, TREES, woodland, wooded area, 311 Broad-leaved forest,
        broadleaf forest, Broadleaved_Forests, deciduous forest, Deciduous Broadleaf Forests, mixed forest, 3.1.3
        Mixed forest, Laubwald, Wald, Wälder, Waelder, forêt, Forêt de feuillus, bosque, bosques, floresta, floresta
        densa, montane forest, Tree canopy, high vegetation""",
    "needleleaf_forest": """
        coniferous forest, 312 Coniferous forest, Evergreen Needleleaf Forests, pine, Nadelwald, Kiefernwald,
        Fichten, forêt de conifères, bosque de coníferas, pinar, boreal forest, spruce forest""",
    "evergreen_forest": """
        Evergreen Broadleaf Forests, rainforest, tropical forest, jungle, selva, Regenwald, primary forest""",
    "mangrove": """
        mangroves, Mangrove, manglar, mangue, tree cover flooded saline water""",
    "plantation": """
        oil palm, Oil-palm plantations, rubber plantation, plantación forestal, silvicultura, tree plantation""",
    "shrubland": """
        shrubland, Shrub & Scrub, Shrub/Scrub, Closed Shrublands, heath, Moors and heathland, 322 Moors and
        heathland, matorral, Transitional woodland-shrub, Sclerophyllous vegetation, scrub, bush, Gebüsch, arbustos,
        maquis""",
    "grassland": """
        grassland, Natural grasslands, Grassland/Herbaceous, HerbaceousVegetation, Herbaceous, grass,
        natural_herbaceous, steppe, pastizal, Grasland, low vegetation, Vegetation basse, prairie naturelle,
        herbaceous cover""",
    "pasture": """
        pasture, Pastures, 231 Pastures, Pasture/Hay, meadow, Wiese, Weide, pastagem, prado, prairie permanente,
        grazing land, pasto""",
    "moss_lichen": """
        moss and lichen, Lichens and mosses, tundra, Moss_Lichen""",
    "wetland": """
        wetland, Herbaceous wetland, Emergent Herbaceous Wetlands, Permanent Wetlands, Inland marshes, 411 Inland
        marshes, Peat bogs, Salt marshes, flooded_vegetation, swamp, Moor, Schilf, humedal, zone humide, marais,
        brejo, fen""",
    "cropland": """
        211 Non-irrigated arable land, wheat, winter wheat, maize, corn, Mais, soybean, sugar-cane,
        cana-de-açúcar, campo de trigo, Getreide, Winterraps, blé, Cropland/Natural Vegetation Mosaics, Land
        principally occupied by agriculture; with significant areas of natural vegetation, Cropland (irrigated)""",
    "farmland": """
        cropland, Crops, wheat field, AnnualCrop, annual_crop, Cultivated Crops, arable land, Acker, Ackerland,
        Zuckerrübenfeld, cultures, cultivos, lavoura, agriculture, Agriculture land, farm, farmland, Agricultural
        areas, Complex cultivation patterns, A11 Cultivated and Managed Terrestrial Areas, herbaceous_croplands""",
    "settlement": """
        residential, Residential area, urban, Urban fabric, Continuous urban fabric, 112 Discontinuous urban fabric,
        Urban and Built-up Lands, industrial, Industrial or commercial units, Siedlung, zone urbaine, área urbana,
        built-up, Built_up, artificial surface, artificial_surfaces, Developed High Intensity, settlement,
        dense_urban""",
    "paddy": """
        rice, Rice paddies, paddy field, 213 Rice fields, arroz, arrozal, rizière, Reisfeld""",
    "fallow": """
        fallow, Fallow land, ploughed field, plowed field, stubble, Brache, jachère, barbecho, pousio""",
    "orchard": """
        orchard, Orchards, Vineyards, 221 Vineyards, Olive groves, PermanentCrop, Permanent crops, Fruit trees and
        berry plantations, coffee, Weinberg, Obstgarten, verger, olivar, pomar, vignoble""",
    "park": """
        park, lawn, Green urban areas, Sport and leisure facilities, Developed Open Space, golf course, garden,
        cemetery, espaces verts, jardín""",
    "bare_soil": """
        bare soil, bare, Bare Land, bareland, Barren, Barren Land (Rock/Sand/Clay), bare_sparse_vegetation, Sparsely
        vegetated areas, soil, Boden, solo exposto, suelo desnudo, sol nu, Construction sites, mud""",
    "sand": """
        sand, Beaches; dunes; sands, beach, dunes, Sandstrand, playa, praia, sable""",
    "rock": """
        rock, Bare rocks, 332 Bare rocks, scree, Fels, roca, rochers, afloramento rochoso""",
    "burnt": """
        burnt, Burnt areas, burned area, área quemada, queimada, zones incendiées, Brandfläche, burn scar""",
    "quarry": """
        quarry, Mineral extraction sites, mine, open pit mine, Steinbruch, cantera, carrière, garimpo, Dump sites""",
    "snow": """
        snow, Snow and Ice, Permanent Snow and Ice, Perennial Ice/Snow, Glaciers and perpetual snow, ice, Schnee,
        nieve, neige, glacier""",
    "water": """
        water, Water bodies, Permanent water bodies, Open Water, SeaLake, river, Rivers, lake, sea, Water courses,
        511 Water courses, Coastal lagoons, reservoir, swimming pool, Wasser, Gewässer, Fluss, eau, plan d'eau,
        agua, cuerpos de agua, río, corpo d'água, lagoa, Sea and ocean""",
    "building": """
        building, Buildings, roof, houses, Gebäude, bâtiment, edificio, edificação, impervious surfaces""",
    "road": """
        road, Roads, highway, pavement, asphalt, parking lot, Road and rail networks and associated land, railway,
        Straßen, route, carretera, estrada, developed_space, runway""",
}  # fmt: skip
NOT_UNDERSTOOD = """
    other, Others, unknown, unclassified, clouds, cloud shadow, non-forest, Non Forest, no data, background,
    clutter/background, car, forest loss, deforestation, change, unchanged, class 3, 42, misc., Wolken, nuages,
    otros, sonstige Flächen, tree stump, zzyzx, other trees, not water, unbuilt land, mixed"""


@pytest.mark.parametrize(("ours", "words"), WORDS.items(), ids=WORDS)
def test_words_mean_what_they_mean(ours: str, words: str) -> None:
    for word in (w.strip() for w in words.split(",")):
        found = understand(word.replace(";", ","))
        assert found is not None, word
        weights = torch.tensor(found[0])
        assert weights.sum() == pytest.approx(1), word
        assert weights[OURS.index(ours)] == weights.max(), (word, OURS[int(weights.argmax())])


def test_the_table_is_long() -> None:
    assert sum(len(words.split(",")) for words in WORDS.values()) >= 150
    assert len(read_lexicon().phrases) > 1500


@pytest.mark.parametrize("word", [w.strip() for w in NOT_UNDERSTOOD.split(",")])
def test_what_says_nothing_is_not_guessed(word: str) -> None:
    assert understand(word) is None


def test_joined_nouns_are_half_of_each() -> None:
    for name in ("trees and shrubs", "Trees/Shrubs", "arbres et arbustes", "shrubs, trees"):
        found = understand(name)
        assert found is not None
        weights = dict(zip(OURS, found[0], strict=True))
        assert weights["shrubland"] == pytest.approx(0.46), name
        assert weights["deciduous_forest"] == pytest.approx(0.17), name


@pytest.mark.parametrize("name", [name for name in legend_names() if name != TERRAFICTA.name])
def test_legends_of_the_house_are_understood_as_their_crosswalks_say(name: str) -> None:
    legend, shares = read_legend(name), crosswalk_to(name).matrix()
    meanings = propose_meanings(legend.classes)
    for k, user in enumerate(legend.classes):
        if user == "background":
            assert not meanings.named[k]
            continue
        assert meanings.named[k], user
        most = OURS[int(meanings.matrix[k].argmax())]
        column = shares[:, TERRAFICTA.index({"settlement": "building", "farmland": "cropland"}.get(most, most))]
        # EuroSAT names whole patches: a building lies in residential and in industrial ones
        assert column[k] >= (0.4 if name == "eurosat" else 0.6) * column.max(), user


def test_our_own_classes_mean_themselves() -> None:
    assert torch.equal(propose_meanings(TERRAFICTA.classes).matrix, torch.eye(24, 26))


def test_a_part_of_a_legend_may_be_named() -> None:
    meanings = propose_meanings(["Forest", "clouds", "water"])
    assert meanings.named == (True, False, True)
    assert meanings.lines()[1] == "clouds: not understood; write means: in tileset.yaml, or do without"
    assert meanings.lines()[2] == "water: water 1.00 (from 'water')"
    assert meanings.enough
    assert propose_meanings(["forest", "non-forest"]).enough
    assert not propose_meanings(["changed", "unchanged"]).enough


def test_what_is_stated_overrules_the_name() -> None:
    meanings = propose_meanings(["crop", "urban"], {"crop": "sand", "urban": None})
    assert meanings.matrix[0, TERRAFICTA.index("sand")] == 1
    assert meanings.named == (True, False)


def test_crops_alike_are_proposed_but_tell_nothing_apart() -> None:
    meanings = propose_meanings(["wheat", "mustard"])
    assert isinstance(meanings, Meanings)
    assert all(meanings.named)
    assert meanings.telling == 0
    assert propose_meanings(["wheat", "mustard", "fallow", "pulses", "vegetables"]).telling == 0.25
    assert propose_meanings(["forest", "water", "clouds"]).telling == 1
    assert not meanings.enough


def test_shares_are_completed() -> None:
    shares = propose_meanings(["forest", "water", "urban"], shares={"forest": 0.5}).shares
    assert shares is not None
    assert shares.tolist() == pytest.approx([0.5, 0.25, 0.25])
    with pytest.raises(Refusal, match="other classes need their part"):
        propose_meanings(["forest", "water", "urban"], shares={"forest": 0.5, "water": 0.5})
    with pytest.raises(Refusal, match="did you mean forest"):
        propose_meanings(["forest", "water"], shares={"forst": 0.5})

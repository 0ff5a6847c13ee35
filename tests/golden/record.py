"""Write the golden digests and their twin anew: `python tests/golden/record.py`. Say in CHANGELOG why bits moved."""

from __future__ import annotations

import json

import numpy as np
import torch
from scenes import CASES, DIGESTS, TWIN, digest, machine

from terraficta.synth.instrument.product import to_dn

if __name__ == "__main__":
    digests, twin = {}, {}
    for name, case in CASES.items():
        tiles = case()
        digests[name] = {tile.id: digest(tile) for tile in tiles}
        twin[name] = to_dn(tiles[0].image, tiles[0].sensor).numpy()
        twin[f"{name}/class"] = tiles[0].mass.argmax(0).to(torch.uint8).numpy()
        print(name, *digests[name].values())
    DIGESTS.write_text(json.dumps({"machine": machine(), "digests": digests}, indent=1) + "\n")
    np.savez_compressed(TWIN, **twin)

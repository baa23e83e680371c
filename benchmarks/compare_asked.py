"""Times what a comparison measures only on demand, for two networks: maps beside maps, blocks along depth, lesions.

    python benchmarks/compare_asked.py [--model resnet50] [--images 32] [--rounds 3] [--rows 2000]

In every round each contestant reads the same images, so that all feel the same neighbours on a shared machine. Weights
are drawn, which changes no time. Maps of neighbours are of drawn features, as wide as the network's.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from residual import noise
from rounds import drawn, machine, timed

from features.compare.depth import along_depth
from features.compare.looks import looks
from features.compare.movers import MoverSettings, movers
from features.embed import MapSettings
from features.extract import features
from features.networks import catalogue, zoo
from features.networks.canonical import canonical, freeze
from features.progress import finish

EXTRACTION = "features of both, once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000, help="of the features whose neighbours are compared")
    options = parser.parse_args()
    print(machine())
    spec, images = catalogue.spec(options.model), noise(options.images)
    pair = [zoo.Model(freeze(canonical(drawn(options.model))), spec, digit * 64) for digit in "01"]
    contestants = {
        EXTRACTION: lambda: [finish(features(model, images)) for model in pair],
        "where both look": lambda: finish(looks(*pair, images, range(len(images)))),
        "blocks of one along depth": lambda: finish(along_depth(pair[0], images)),
        "with lesions of every block": lambda: finish(along_depth(pair[0], images, lesions=True)),
    }
    contestants[EXTRACTION]()
    times = timed(contestants, options.rounds)
    print(f"\n{options.model}, {options.images} images of {spec.preprocessing.crop} px, {options.rounds} rounds")
    for name, spent in times.items():
        beside = statistics.median(np.divide(spent, times[EXTRACTION]))
        each = statistics.median(spent) / options.images
        print(f"{name:30s} {each:7.3f} s an image   {beside:6.2f} x the features", flush=True)
    width = 2048
    for method, count in (("pca", options.rows), ("umap", options.rows)):
        random = np.random.default_rng(0)
        sides = {name: random.normal(size=(count, width)).astype(np.float32) for name in ("one", "other")}
        settings = MoverSettings(MapSettings(method), n_images=count)
        (spent,) = timed({method: lambda: finish(movers(sides, [str(n) for n in range(count)], settings))}, 1).values()  # noqa: B023
        print(f"neighbours and maps by {method}, {count} images {spent[0]:7.1f} s")


if __name__ == "__main__":
    main()

"""Times maps of real features beside plain UMAP on the same vectors, and scores them by the same measures.

    python -m features extract torchvision:FashionMNIST --out features
    python benchmarks/embed.py features [--stage layer3] [--stages layer1,layer2,layer3] [--rows 10000] [--rounds 3]

In every round each contestant has one turn: `umap.UMAP().fit` as it is, with a seed and without; ours likewise, with
the graph of neighbours looked for anew; and maps of several stages in one frame. Everything is compiled before. Prints
the machine, medians in seconds, medians of ratios to plain UMAP without a seed, trustworthiness and the share of
neighbours that are kept, and how long the graph alone takes.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from os import environ
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from rounds import machine

from features import embed, store
from features.progress import finish

PLAIN = "umap.UMAP(), no seed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("features", type=Path, help="a folder that `python -m features extract` made")
    parser.add_argument("--stage", help="whose single map is made (default: the last)")
    parser.add_argument("--stages", help="of the maps in one frame (default: all)")
    parser.add_argument("--rows", type=int, default=10_000, help="of the first images (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
    options = parser.parse_args()
    opened = store.open_features(options.features)
    names = options.stages.split(",") if options.stages else [name for name in opened.stages if name != "logits"]
    stages = {name: np.asarray(opened.read(name, 0, options.rows)) for name in names}
    stage = options.stage or names[-1]
    values = np.asarray(opened.read(stage, 0, options.rows))
    print(machine())
    print(f"{len(values):,} x {values.shape[1]} of {stage}; frame of {', '.join(names)}")
    warnings.simplefilter("ignore")  # UMAP's, of seeds and threads
    with tempfile.TemporaryDirectory() as folder:
        environ["XDG_CACHE_HOME"] = folder  # graphs are looked for anew in every turn
        tell(values, contestants(values, stages, Path(folder)), options.rounds, stages)


def contestants(
    values: np.ndarray, stages: dict[str, np.ndarray], cache: Path
) -> dict[str, Callable[[], dict[str, np.ndarray]]]:
    """What makes each contestant's maps: stage -> points (N, 2); '' is the single map."""
    import umap

    def ours(seed: int | None) -> dict[str, np.ndarray]:
        shutil.rmtree(cache / "resnet-explorer", ignore_errors=True)
        return {"": finish(embed.project(values, embed.MapSettings(seed=seed))).points}

    def frame(seed: int | None) -> dict[str, np.ndarray]:
        shutil.rmtree(cache / "resnet-explorer", ignore_errors=True)
        maps = finish(embed.stage_maps(stages, embed.MapSettings(seed=seed)))
        return {name: projection.points for name, projection in maps.items()}

    return {
        PLAIN: lambda: {"": umap.UMAP().fit_transform(values)},
        "umap.UMAP(random_state=0)": lambda: {"": umap.UMAP(random_state=0).fit_transform(values)},
        "ours, no seed, scores included": lambda: ours(None),
        "ours, seed 0, scores included": lambda: ours(0),
        f"ours, {len(stages)} stages, no seed": lambda: frame(None),
        f"ours, {len(stages)} stages, seed 0": lambda: frame(0),
    }


def tell(
    values: np.ndarray,
    made: dict[str, Callable[[], dict[str, np.ndarray]]],
    rounds: int,
    stages: dict[str, np.ndarray],
) -> None:
    began = time.perf_counter()
    embed.warm_up()
    print(f"the first map of this process, 200 x 8, compilation included: {time.perf_counter() - began:.1f} s")
    for run in made.values():  # what differs by size is compiled as well
        run()
    times: dict[str, list[float]] = {name: [] for name in made}
    points: dict[str, dict[str, np.ndarray]] = {}
    for number in range(rounds):
        for name, run in made.items():
            began = time.perf_counter()
            points[name] = run()
            times[name].append(time.perf_counter() - began)
        print(f"round {number + 1} of {rounds} is done", file=sys.stderr, flush=True)
    began = time.perf_counter()
    graph = embed.nearest(values, 16)
    print(f"graph of 16 neighbours alone: {time.perf_counter() - began:.1f} s, recall {graph.recall:.3f}")
    print("| | seconds | ratio | trustworthiness | neighbours kept |\n|---|---|---|---|---|")
    for name, seconds in times.items():
        ratio = statistics.median(each / plain for each, plain in zip(seconds, times[PLAIN], strict=True))
        scores = {
            part: embed.trust(stages.get(part, values), plane, embed.nearest(stages.get(part, values), 16))
            for part, plane in points[name].items()
        }
        trusted = ", ".join(f"{score.trustworthiness:.4f}" for score in scores.values())
        kept = ", ".join(f"{score.recall:.3f}" for score in scores.values())
        print(f"| {name} | {statistics.median(seconds):.1f} | {ratio:.2f} | {trusted} | {kept} |")


if __name__ == "__main__":
    main()

"""The command line: one subcommand per capability."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.errors import FeatureError
from features.files import place
from features.progress import Progress, Result, Task, finish
from features.recipe import Recipe

if TYPE_CHECKING:
    from features.store import Manifest
    from features.zoo import Model


SOURCE_HELP = (
    "'sample', a folder, a .zip, Parquet files with image bytes, a .txt file with a path a line, or "
    "torchvision:NAME[:SPLIT]"
)
FORMAT_HELP = "parquet, npy, npz, safetensors, or tensorboard for the Embedding Projector"


def main(arguments: list[str] | None = None) -> int:
    """Run a subcommand; returns the exit status: 0 done, 2 the user's mistake, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except FeatureError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `models | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"{options.command}: {error.filename or 'A file'} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m features", description="Look into residual networks.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    models = add("models", _models, "List the networks that can be named.")
    models.add_argument("--json", action="store_true", help="print JSON")

    evaluate = add("evaluate", _evaluate, "Count how often a network is right on labelled images.")
    _add_source(evaluate)
    _add_model(evaluate)
    evaluate.add_argument("--limit", type=_positive, metavar="N", help="use a balanced sample of N images")
    evaluate.add_argument("--json", action="store_true", help="print only JSON on standard output")

    extract = add("extract", _extract, "Write the features of images to a folder; run it again to go on.")
    _add_source(extract)
    _add_model(extract)
    extract.add_argument("--out", type=_place, required=True, metavar="DIR", help="where the features go")
    extract.add_argument(
        "--stages", type=_names, metavar="A,B", help="of stem, layer1, ..., pool, logits (default: every layer)"
    )
    extract.add_argument(
        "--pool", default="mean", metavar="HOW", help="mean, max, gem, or none for whole maps (default: %(default)s)"
    )
    extract.add_argument(
        "--precision",
        default="auto",
        metavar="X",
        help="fp32, bf16, fp16 or auto: bf16 where it is fast",
    )
    extract.add_argument("--format", default="parquet", metavar="X", help=FORMAT_HELP)
    extract.add_argument("--device", default="auto", metavar="X", help="cpu, cuda or auto (default: %(default)s)")
    extract.add_argument("--engine", default="auto", metavar="X", help="torch, openvino or auto: the fastest installed")
    extract.add_argument(
        "--batch-size", type=_positive_or_auto, metavar="N", help="images at a time, or auto: by their size (default)"
    )
    extract.add_argument("--cluster", default="none", choices=("none", "ray"), help="more machines than one, with Ray")
    extract.add_argument("--ray-address", metavar="X", help="of a cluster (default: one on this machine)")
    extract.add_argument("--workers", type=_positive, metavar="N", help="networks at a time on the cluster")
    extract.add_argument("--strict", action="store_true", help="fail if an image could not be read")

    convert = add("convert", _convert, "Write a folder of features anew in another format; its values stay the same.")
    convert.add_argument("folder", type=_place, metavar="DIR", help="what `extract` wrote")
    convert.add_argument("--format", required=True, metavar="X", help=FORMAT_HELP)
    convert.add_argument("--out", type=_place, required=True, metavar="DIR", help="where the copy goes")

    info = add("info", _info, "Tell what a folder of features is.")
    info.add_argument("folder", type=_place, metavar="DIR", help="what `extract` wrote")
    info.add_argument("--json", action="store_true", help="print JSON")

    saliency = add("saliency", _saliency, "Draw where a network looks: overlays, raw maps and what made them.")
    saliency.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or one SOURCE: " + SOURCE_HELP)
    _add_model(saliency)
    saliency.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the files go")
    saliency.add_argument(
        "--method",
        default="gradcam",
        metavar="X",
        help="how: gradcam (default), hirescam, gradcam++, xgradcam, layercam, cam, scorecam, eigencam, ledger, "
        "integrated-gradients, "
        "guided-gradcam or occlusion",
    )
    saliency.add_argument(
        "--target",
        default="predicted",
        metavar="X",
        help="what is explained: predicted (default), a class by name or number, A-vs-B, norm:STAGE, or "
        "alike:STAGE:FILE for the likeness to another image",
    )
    saliency.add_argument(
        "--taps", choices=("stages", "blocks", "branches"), help="where maps are taken (default: by method)"
    )
    saliency.add_argument("--precision", default="fp32", metavar="X", help="fp32, bf16 or fp16 (default: %(default)s)")
    saliency.add_argument(
        "--colours", metavar="NAME", help="of the overlays (default: Inferno, of branches Blue to red)"
    )
    saliency.add_argument("--opacity", type=float, default=0.5, metavar="X", help="0 is the image, 1 the heat map")
    saliency.add_argument("--one-scale", action="store_true", help="scale all maps of an image alike")
    saliency.add_argument(
        "--smooth", type=int, default=0, metavar="N", help="average over N noisy copies (pixel methods)"
    )
    saliency.add_argument("--seed", type=int, default=0, metavar="N", help="of that noise (default: %(default)s)")

    faithfulness = add("faithfulness", _faithfulness, "Measure how far maps of several methods can be trusted.")
    _add_source(faithfulness)
    _add_model(faithfulness)
    faithfulness.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the table and curves go")
    faithfulness.add_argument(
        "--methods",
        type=_names,
        default=["gradcam", "hirescam", "gradcam++", "layercam", "eigencam", "random"],
        metavar="A,B",
        help="as `saliency --method`, or random for maps that know nothing (default: %(default)s)",
    )
    faithfulness.add_argument("--tap", metavar="NAME", help="a stage or block (default: the last stage)")
    faithfulness.add_argument(
        "--steps", type=_positive, default=32, metavar="N", help="of the curves (default: %(default)s)"
    )
    faithfulness.add_argument("--limit", type=_positive, metavar="N", help="use a balanced sample of N images")
    faithfulness.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: %(default)s)"
    )
    faithfulness.add_argument(
        "--quick", action="store_true", help="leave out infidelity, sensitivity and randomisation"
    )

    train = add("train", _train, "Train a network on labelled images; run it again to go on after an interruption.")
    _add_source(train)
    train.add_argument("--test", metavar="SOURCE", help="held-out images (default: the set's own test split)")
    train.add_argument(
        "--model", default="resnet20-cifar", metavar="NAME", help="the architecture (default: %(default)s)"
    )
    train.add_argument("--name", required=True, help="what to call the result: NAME.safetensors and NAME.json")
    train.add_argument(
        "--out", type=Path, default=Path("runs"), metavar="DIR", help="where it goes (default: %(default)s)"
    )
    train.add_argument("--licence", default="unspecified", help="the licence of the weights, kept in the file")
    for field in fields(Recipe):
        train.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=type(field.default),
            default=field.default,
            metavar="X",
            help=f"{field.metadata['help']} (default: %(default)s)",
        )
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--data-root", metavar="DIR", help="where torchvision's sets lie (default: data)")
    parser.add_argument("--download", action="store_true", help="let torchvision fetch its set")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="a network of the catalogue (default: the bundled one)")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a checkpoint: .pt .pth .th .safetensors")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names, one a line")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"wanted a whole number above 0, got {text}")
    return int(text)


def _place(text: str) -> Path:
    try:
        return place(text)
    except FeatureError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _positive_or_auto(text: str) -> int | None:
    return None if text == "auto" else _positive(text)


def _models(options: argparse.Namespace) -> None:
    from features import catalogue
    from features.anatomy import anatomy

    rows: list[dict[str, Any]] = []
    for spec in catalogue.entries():
        built = anatomy(spec.architecture, spec.preprocessing.crop)
        rows.append(
            {
                "name": spec.name,
                "family": spec.family,
                "weights": spec.source,
                "classes": spec.architecture.classes,
                "input_size": spec.preprocessing.crop,
                "parameters": built.parameters,
                "gflops": built.macs / 1e9,
                "licence": spec.licence,
                "on_this_machine": spec.file is not None,
            }
        )
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    table: list[tuple[str, ...]] = [
        ("name", "family", "classes", "input", "parameters", "GFLOPs", "here", "weights", "licence")
    ]
    for row in rows:
        table.append(
            (
                row["name"],
                row["family"],
                str(row["classes"]),
                f"{row['input_size']} px",
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['gflops']:.3f}",
                "yes" if row["on_this_machine"] else "no",
                row["weights"],
                row["licence"],
            )
        )
    _print_table(table)
    print("\nGFLOPs: a multiplication and an addition counted as one, for one image, as in He et al. 2015.")


def _load(options: argparse.Namespace) -> "Model":
    from features import catalogue, zoo
    from features.network import best_device

    if options.weights is None and (entry := catalogue.spec(options.model or catalogue.DEFAULT)).file is None:
        _show(zoo.fetch(entry))
    model = zoo.load(options.model, options.weights, options.classes)
    for guess in model.spec.assumed:
        print(f"assumed, since {model.spec.name} does not say: {guess}", file=sys.stderr)
    model.network.to(best_device())
    return model


def _evaluate(options: argparse.Namespace) -> None:
    from features.datasets import open_images
    from features.evaluate import evaluate

    model = _load(options)
    images = open_images(options.source, options.data_root, options.download)
    if options.limit:
        images = images.sample(options.limit)
    result = _show(evaluate(model, images))
    for rejected in result.rejected:
        print(f"left out: {rejected.reason}", file=sys.stderr)
    if result.labels_matched == "by order":
        pairs = [f"{name} as {known}" for name, known in zip(images.class_names, result.class_names, strict=False)]
        print(
            f"None of the labels is a class of {model.spec.name}; they were matched in order: {', '.join(pairs[:12])}"
            f"{', ...' if len(pairs) > 12 else ''}.",
            file=sys.stderr,
        )
    if options.json:
        print(json.dumps(result.as_dict()))
        return
    print(f"{model.spec.name} on {result.n_images} images of {images.name}")
    top5 = f"   top-5 {result.top5:.2%}" if len(result.class_names) > 5 else ""
    print(f"accuracy {result.accuracy:.2%}{top5}")
    print(
        f"macro precision {result.macro_precision:.2%}   recall {result.macro_recall:.2%}   F1 {result.macro_f1:.2%}\n"
    )
    table: list[tuple[str, ...]] = [("class", "precision", "recall", "F1", "images")]
    table += [
        (score.name, f"{score.precision:.3f}", f"{score.recall:.3f}", f"{score.f1:.3f}", str(score.support))
        for score in result.per_class
    ]
    _print_table(table)


def _extract(options: argparse.Namespace) -> None:
    from features import engine, extract, store
    from features.datasets import need_outside, open_images

    need_outside(options.source, options.out)
    if options.cluster == "none" and (options.ray_address or options.workers):
        raise FeatureError("--ray-address and --workers belong to --cluster ray. Add it, or leave them away.")
    if options.cluster != "none" and options.format != store.PARQUET:
        raise FeatureError("A cluster writes Parquet. Leave --format away, and convert what comes out.")
    model = _load(options)
    images = open_images(options.source, options.data_root, options.download)
    choices = (options.stages, options.pool, options.precision, options.device, options.engine)
    cluster = None
    if options.cluster != "none":
        from features import distributed

        cluster = distributed.Cluster(options.ray_address, options.workers)
        reading = distributed.choose(model, cluster, *choices)
    else:
        reading = engine.choose(model.network, *choices)
    size = options.batch_size or extract.batch_size(model.spec.preprocessing, reading.device)
    plan = extract.plan(model, images, reading, size, options.format)
    widths = ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in plan.shapes.items())
    print(
        f"{model.spec.name} on {len(images):,} images of {images.name}: {widths}; {reading.precision} on "
        f"{reading.device} with {reading.engine} ({reading.why}); "
        f"about {plan.bytes_in_all / 2**20:,.1f} MiB in {options.out}",
        file=sys.stderr,
    )
    if cluster is None:
        done = _show(extract.to_folder(model, images, reading, options.out, size, options.format))
    else:
        done = _show(
            distributed.to_folder(model, options.source, reading, options.out, cluster, size, options.data_root)
        )
    print(f"{options.out}: {_rows(done)}, {_rate(done)}")
    if options.strict and done.n_rejected:
        raise FeatureError(f"{done.n_rejected} images could not be read; {options.out / 'rejected.parquet'} has them.")


def _saliency(options: argparse.Namespace) -> None:
    from contextlib import closing
    from dataclasses import asdict

    from features import extract, files, rasters, saliency
    from features.datasets import open_files

    drawing = saliency.Drawing(options.colours, options.opacity, options.one_scale)
    colours = (*rasters.RECTIFIED, *rasters.SIGNED)
    if options.colours not in (None, *colours):
        raise FeatureError(f"The colours are {options.colours!r}. Wanted one of {', '.join(colours)}.")
    if not 0 <= options.opacity <= 1:
        raise FeatureError(f"The opacity is {options.opacity}. Wanted a number from 0 (the image) to 1 (the heat map).")
    model = _load(options)
    images = open_files(options.images)
    target = saliency.parse(options.target, model)
    explainer = saliency.Explainer(model, options.precision)
    taps = explainer.taps(options.taps) if options.taps else None
    if taps and isinstance(target, saliency.StageTarget):
        taps = tuple(tap for tap in taps if explainer.place(tap) <= explainer.top([target]))
    size = max(1, extract.batch_size(model.spec.preprocessing) // 4)  # the graph is kept as well
    rows: list[dict[str, Any]] = []
    provenance: dict[str, Any] = {}
    options.out.mkdir(parents=True, exist_ok=True)
    with closing(extract.batches(images, model.spec.preprocessing, size)) as stream:
        for batch in stream:
            for rejected in batch.rejected:
                print(f"left out: {rejected.reason}", file=sys.stderr)
            if not len(batch.rows):
                continue
            targets = [target] * len(batch.rows)
            found = _show(
                saliency.explain(explainer, batch.pixels, targets, options.method, taps, options.smooth, options.seed)
            )
            seen = batch.pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()  # (N, H, W, 3)
            pictures = {images.ids[row]: picture for row, picture in zip(batch.rows, seen, strict=True)}
            for name, content, row in saliency.exported(found, model, pictures, drawing):
                (options.out / name).parent.mkdir(exist_ok=True)
                files.write_whole(options.out / name, content)
                rows += [row] if row else []
            provenance = found.provenance
    if not rows:
        raise FeatureError(f"None of the {len(images)} images could be read.")
    settings = {"drawing": asdict(drawing), "smooth": options.smooth, "seed": options.seed, "provenance": provenance}
    files.write_whole(options.out / "manifest.json", saliency.manifest(rows, settings))
    for row in rows:
        if row["blank"] and not (row["blank"] == "negative" and row["signed"]):
            print(f"{row['file']} shows nothing: it is {row['blank']} everywhere", file=sys.stderr)
    print(f"{options.out}: {len(rows):,} maps of {len({row['image'] for row in rows}):,} images")


def _faithfulness(options: argparse.Namespace) -> None:
    import numpy as np

    from features import faithfulness, files, saliency
    from features.datasets import open_images

    names = _names(options.model) if options.model else [None]
    if options.weights and len(names) > 1:
        raise FeatureError("--weights are of one network. Name one with --model, or run the command again for others.")
    images = open_images(options.source, options.data_root, options.download)
    if options.limit:
        images = images.sample(options.limit)
    trials: list[faithfulness.Trial] = []
    for name in names:
        explainer = saliency.Explainer(_load(argparse.Namespace(**vars(options) | {"model": name})))
        trials += _show(
            faithfulness.measure(
                explainer, images, options.methods, options.tap, options.steps, options.seed, not options.quick
            )
        )
    options.out.mkdir(parents=True, exist_ok=True)
    table = faithfulness.table(trials)
    files.write_whole(options.out / "faithfulness.csv", table.to_csv(index=False).encode())
    arrays = {
        f"{trial.model}/{trial.method}/{kind}": getattr(trial.curves, kind)
        for trial in trials
        for kind in ("shares", "deletion", "insertion")
    }
    with files.written_whole(options.out / "curves.npz") as file:
        np.savez(file, **arrays)
    content = {
        "trials": [trial.summary() | {"ids": trial.ids, "provenance": trial.provenance} for trial in trials],
    }
    files.write_whole(options.out / "manifest.json", (json.dumps(content, indent=1) + "\n").encode())
    head = [name for name in table if not name.startswith("rank_correlation")]
    _print_table([tuple(head), *(tuple(_short(value) for value in row) for row in table[head].to_numpy().tolist())])
    if not options.quick:
        print("\nRank correlation with maps of networks whose parts are drawn anew, from the head down:")
        rest = [name for name in table if name.startswith("rank_correlation")]
        shown = [name.removeprefix("rank_correlation_without_") for name in rest]
        rows = zip(table[["model", "method"]].to_numpy().tolist(), table[rest].to_numpy().tolist(), strict=True)
        _print_table([("model", "method", *shown), *((*who, *map(_short, values)) for who, values in rows)])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _convert(options: argparse.Namespace) -> None:
    from features import store

    done = _show(store.convert(options.folder, options.out, options.format))
    print(f"{options.out}: {_rows(done)} as {done.format}")
    if done.format == store.TENSORBOARD and not (options.out / store.SPRITE).exists():
        print("The images are not where they were, so there is no sprite with their pictures.", file=sys.stderr)


def _rows(manifest: "Manifest") -> str:
    rows = f"{manifest.n_rows:,} rows"
    if manifest.sampled:
        rows += f" (a sample of {manifest.n_images - (manifest.n_rejected or 0):,}, each class with its share)"
    return f"{rows}, {manifest.n_rejected:,} images rejected"


def _info(options: argparse.Namespace) -> None:
    from dataclasses import asdict

    from features.store import read_manifest

    manifest = read_manifest(options.folder)
    if options.json:
        print(json.dumps(asdict(manifest) | {"complete": manifest.complete}, indent=1))
        return
    state = _rows(manifest) if manifest.complete else "not complete"
    rows: list[tuple[str, ...]] = [
        (str(options.folder), f"features as {manifest.format}, format version {manifest.version}")
    ]
    rows += [("images", f"{manifest.n_images:,} ({state})"), ("speed", _rate(manifest))]
    rows += [(name, f"{' x '.join(map(str, shape))} {manifest.dtype}") for name, shape in manifest.shapes.items()]
    rows += [(name, str(value)) for name, value in (manifest.settings | manifest.made_with).items()]
    _print_table(rows)


def _rate(manifest: "Manifest") -> str:
    rate = manifest.images_per_second
    return "speed unknown" if rate is None else f"{rate:,.1f} images/s"


def _train(options: argparse.Namespace) -> None:
    from features import catalogue, train, zoo
    from features.datasets import open_images
    from features.evaluate import evaluate

    if Path(options.name).name != options.name:
        raise FeatureError(f"The name is {options.name!r}. Give a name without folders; --out says where it goes.")
    source, test = _splits(options.source, options.test)
    options.out.mkdir(parents=True, exist_ok=True)
    images = open_images(source, options.data_root, options.download)
    test_images = open_images(test, options.data_root, options.download)
    recipe = Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})
    entry = catalogue.spec(options.model)
    training = _show(
        train.fit(entry.architecture, images, test_images, recipe, options.out / f"{options.name}.state.pt")
    )
    weights = train.publish(training, images, options.name, entry.family, options.licence, options.out)
    result = _show(evaluate(zoo.load(weights=weights), test_images))
    card = train.write_card(training, weights, result)
    print(f"{weights}: test accuracy {result.accuracy:.2%} on {result.n_images} images. Everything else is in {card}.")


def _splits(source: str, test: str | None) -> tuple[str, str]:
    """The sources of training and test images."""
    if test is not None:
        return source, test
    if source.startswith("torchvision:"):
        base = ":".join(source.split(":")[:2])
        return f"{base}:train", f"{base}:test"
    raise FeatureError(f"Held-out images are needed to test what {source} taught. Name them with --test SOURCE.")


def _show(task: Task[Result]) -> Result:
    """Run a task with a progress bar on standard error."""
    from tqdm import tqdm

    bar = None

    def report(progress: Progress) -> None:
        nonlocal bar
        if bar is None or bar.unit != progress.unit:
            if bar is not None:
                bar.close()
            bar = tqdm(total=progress.total, unit=progress.unit, file=sys.stderr, leave=False, initial=progress.done)
        bar.total = progress.total
        bar.set_postfix_str(progress.note, refresh=False)
        bar.update(progress.done - bar.n)

    try:
        return finish(task, report)
    finally:
        if bar is not None:
            bar.close()


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


if __name__ == "__main__":
    sys.exit(main())

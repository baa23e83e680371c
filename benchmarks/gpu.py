"""One run of under five minutes on a machine with a GPU: whether every analysis says there what it says on a CPU, how
fast features and maps are made beside torchvision's bare forward, from 2,000 JPEG files too, and what memory it takes.

    python benchmarks/gpu.py --out gpu.json [--seconds 270]
    python benchmarks/gpu.py --device cpu --tiny          # tries the script itself

Weights are drawn or bundled and pictures are made: nothing is fetched. Every section has a share of the time, and what
goes wrong in one is told and does not end the run. Progress goes to stderr, the table to stdout, figures to the file.
"""

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from gpu_parts.correctness import correctness
from gpu_parts.memory import memory
from gpu_parts.nearest import nearest
from gpu_parts.report import SKIP, Report, say
from gpu_parts.speed import compiled, extraction, from_files, saliency
from gpu_parts.subjects import Scale, decoded, jpegs, machine

# Of 270 seconds; what a section leaves goes to those that follow.
LIMITS = {
    "correctness": 75,
    "extraction": 70,
    "from files": 60,
    "saliency": 30,
    "memory": 25,
    "neighbours": 120,
    "compiled": 120,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--seconds", type=float, default=270, help="for all sections (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="a JSON file for all figures")
    parser.add_argument("--only", choices=(*LIMITS, "alone"), nargs="+", help="some of the sections")
    options = parser.parse_args()
    began = time.monotonic()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("There is no CUDA device here. Try the script with --device cpu --tiny.")
    warnings.simplefilter("ignore")
    scale = Scale.tiny(options.device) if options.tiny else Scale(options.device)
    sections = options.only or list(LIMITS)
    with tempfile.TemporaryDirectory() as scratch:
        folder, forked = Path(scratch) / "jpegs", 0.0
        if "from files" in sections:  # before CUDA starts, which does not survive a fork
            forked = make_jpegs(folder, scale.jpegs)
        report = Report(options.out, options.seconds, machine(options.device), began=began)
        say("\n".join(f"{key}: {value}" for key, value in report.machine.items()))
        work = {
            "extraction": lambda: extraction(report, scale),
            "from files": lambda: from_files(report, scale, folder, forked),
            "saliency": lambda: saliency(report, scale),
            "memory": lambda: memory(report, scale),
            "correctness": lambda: correctness(report, scale),
            "neighbours": lambda: nearest(report, scale),
            "compiled": lambda: in_a_process(report, options),
            "alone": lambda: compiled(report, scale),
        }
        for name in sections:
            report.section(name, options.seconds if options.only else LIMITS[name], work[name])
    print(report.table())


def make_jpegs(folder: Path, number: int) -> float:
    """Make JPEG files with every core; returns how many images/s the cores decode as processes."""
    cores = os.cpu_count() or 1
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        size = jpegs(folder, number, pool)
        paths = sorted(folder.iterdir())
        pool.map(decoded, [paths[:1]] * cores)
        began = time.perf_counter()
        pool.map(decoded, [paths[start::cores] for start in range(cores)], 1)
        rate = number / (time.perf_counter() - began)
    say(f"{number} JPEG files of {size / 1000:.0f} kB on average")
    return rate


def in_a_process(report: Report, options: argparse.Namespace) -> None:
    """Compile in a process of its own, since compilers cannot be interrupted, and take up its rows."""
    limit = min(LIMITS["compiled"], report.left) - 3
    if limit < 25:
        report.add("not begun", SKIP, "out of time")
        return
    torch.cuda.empty_cache()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "rows.json"
        command = [sys.executable, __file__, "--only", "alone", "--device", options.device, "--out", str(out)]
        command += ["--seconds", str(limit - 2), *(["--tiny"] if options.tiny else [])]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            child.wait(limit)
        except subprocess.TimeoutExpired:
            report.add("not finished", SKIP, f"its {limit:.0f} s were over")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if out.is_file():
            report.rows += [row | {"section": report.present} for row in json.loads(out.read_text())["rows"]]
        elif child.returncode:
            report.add("stopped", SKIP, f"the process ended with {child.returncode}")


if __name__ == "__main__":
    main()

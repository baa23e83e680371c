"""The direction of imports, read from the sources: what a module may know of others."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = [
    ["errors"],
    ["files", "progress", "devices", "registry", "sources", "shares"],
    ["claim", "networks", "selection", "neighbours"],
    ["datasets"],
    ["cluster", "predictions", "results", "rasters", "notes"],
    ["store", "engine", "effects", "workspace"],
    ["extract"],
]
ANALYSES = [
    "saliency", "faithfulness", "residual", "channels", "embed", "evaluate", "robustness", "train", "look",
    "similarity", "compare", "lesions",
]  # fmt: skip
ANALYSES_MAY_USE = {
    "train": {"evaluate"},
    "faithfulness": {"saliency"},
    "residual": {"similarity"},
    "lesions": {"residual", "channels"},
    "compare": {"evaluate", "similarity", "saliency", "residual", "embed"},
}
MAY_IMPORT_STREAMLIT = (
    "app.py",
    "viz/pages/",
    "viz/cached/",
    "viz/widgets.py",
    "viz/sidebar/",
    "viz/picking/",
    "viz/components/",
)


def sources(*patterns: str) -> list[str]:
    return sorted(path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern))


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse((ROOT / source).read_text(encoding="utf-8"))


@cache
def imported(source: str) -> frozenset[str]:
    """Every module that a file imports, wherever in the file, with dots."""
    names = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source} imports relatively"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def packages(source: str) -> set[str]:
    return {name.split(".")[0] for name in imported(source)}


def own_modules(source: str) -> set[str]:
    """The modules of features/ that a file imports."""
    return {
        parts[1] for name in imported(source) if (parts := name.split("."))[0] == "features" and len(parts) > 1
    } & set(FEATURES)


@cache
def files_of(module: str) -> list[str]:
    """A module's one file, or those of its package."""
    return sources(f"features/{module}.py", f"features/{module}/**/*.py")


FEATURES = [Path(path).stem for path in sources("features/*.py")]
FEATURES += [Path(path).parent.name for path in sources("features/*/__init__.py")]
FOUNDATION = [name for level in ORDER for name in level]


@pytest.mark.parametrize("module", FOUNDATION)
def test_the_foundation_knows_only_what_lies_below_it(module):
    height = next(number for number, level in enumerate(ORDER) if module in level)
    below = {name for level in ORDER[:height] for name in level}
    for source in files_of(module):
        assert own_modules(source) - {module} <= below


@pytest.mark.parametrize("module", ANALYSES)
def test_analyses_do_not_know_each_other(module):
    allowed = {module, *FOUNDATION} | ANALYSES_MAY_USE.get(module, set())
    for source in files_of(module):
        assert own_modules(source) <= allowed


VIZ = [
    ["theme", "fields"],
    ["figures", "components", "jobs"],
    ["reports"],
    ["cached"],
    ["widgets"],
    ["sidebar"],
    ["picking"],
    ["pages"],
]


@pytest.mark.parametrize("source", sources("viz/**/*.py"))
def test_modules_that_show_know_only_what_lies_below_them(source):
    part = Path(source).relative_to("viz").parts[0].removesuffix(".py")
    used = {name.split(".")[1] for name in imported(source) if name.startswith("viz.")} - {part}
    height = next((number for number, level in enumerate(VIZ) if part in level), 0)
    assert used <= {name for level in VIZ[:height] for name in level}


PAGES_MAY_SHOW = {"saliency": {"faithfulness"}}  # a page that is shown as a part of another


@pytest.mark.parametrize("source", sources("viz/pages/**/*.py"))
def test_pages_do_not_know_each_other(source):
    page = Path(source).relative_to("viz/pages").parts[0].removesuffix(".py")
    used = {name.split(".")[2] for name in imported(source) if name.startswith("viz.pages.")}
    assert used - {page} <= PAGES_MAY_SHOW.get(page, set())


ROOMS = {  # of features/datasets: what each may use of the others; the modules outside may use none
    "archives": set(),
    "tables": set(),
    "lists": {"tables"},
    "annotated": {"lists"},
}
OPENERS = ("__init__", "changes", "folder_contents", "patterns", "understanding")  # which open sources of any kind


@pytest.mark.parametrize("source", sources("features/datasets/**/*.py"))
def test_rooms_of_the_datasets_know_each_other_in_one_direction(source):
    path = Path(source).relative_to("features/datasets")
    room = path.parts[0] if len(path.parts) > 1 else ""
    used = {name.split(".")[2] for name in imported(source) if name.startswith("features.datasets.")} & {*ROOMS}
    if path.stem not in OPENERS or room:
        assert used - {room} <= ROOMS.get(room, set())


def test_every_module_of_features_has_its_place():
    assert set(FEATURES) == {*FOUNDATION, *ANALYSES, "__init__", "__main__", "commands"}


# The command line is a front end, as the app is: where a result has a report, it asks for one. The library below it
# knows of none, and what it asks brings neither Streamlit nor anything else of the app.
COMMANDS_MAY_SHOW = dict.fromkeys(
    ("features/commands/compare.py", "features/commands/workspace.py", "features/commands/notebook.py"), "viz.reports"
)


@pytest.mark.parametrize("module", FEATURES)
def test_features_knows_nothing_of_what_shows_it(module):
    for source in files_of(module):
        reports = COMMANDS_MAY_SHOW.get(source)
        others = {name for name in imported(source) if reports is None or not f"{name}.".startswith(f"{reports}.")}
        assert not {name.split(".")[0] for name in others} & {"streamlit", "plotly", "viz", "app", "tests"}


@pytest.mark.parametrize(
    "source", sources("viz/figures/**/*.py", "viz/reports/**/*.py", "features/rasters.py", "viz/theme.py")
)
def test_figures_are_drawn_without_streamlit_and_without_torch(source):
    assert not packages(source) & {"streamlit", "torch", "torchvision"}


# They tell nothing of what a value is.
NO_NAMES = {"found", "reading", "taking", "judging", "asking", "proof", "vino", "descent"}


def names_given(source: str) -> set[str]:
    """Of everything that a file defines or binds, in small letters, without underscores around them."""
    given = set()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.arg):
            given.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            given.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            given.add(node.attr)
    return {name.strip("_").lower() for name in given}


@pytest.mark.parametrize("source", sources("app.py", "viz/**/*.py", "features/**/*.py"))
def test_names_are_words_of_the_field(source):
    assert not names_given(source) & NO_NAMES


@pytest.mark.slow
def test_the_first_page_and_the_sidebar_do_without_large_libraries():
    """They take up to seconds to import, which the first picture must not wait for."""
    code = """
import sys
from streamlit.testing.v1 import AppTest
from viz.cached import warm_up
warm_up.PAGE_SECONDS = 600
app = AppTest.from_file("app.py", default_timeout=60).run()
assert not app.exception and app.get("plotly_chart") and "20" in [metric.value for metric in app.metric]
print(sorted({"torch", "torchvision", "umap", "pandas", "pyarrow"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("source", sources("app.py", "viz/**/*.py", "features/**/*.py"))
def test_only_the_pages_and_what_serves_them_import_streamlit(source):
    assert "streamlit" not in packages(source) or source.startswith(MAY_IMPORT_STREAMLIT)


@pytest.mark.parametrize("source", sources("viz/pages/**/*.py"))
def test_pages_do_not_compute_with_tensors(source):
    assert not packages(source) & {"torch", "torchvision", "sklearn", "umap"}


@pytest.mark.parametrize("module", FEATURES)
def test_slow_libraries_are_imported_where_they_are_needed(module):
    """The first page must not pay for them: umap alone takes seconds."""
    at_once = {
        name.split(".")[0]
        for source in files_of(module)
        for node in parsed(source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([str(node.module)] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    slow = {"umap", "sklearn", "scipy", "captum", "ray"}
    if module != "train":  # which no page needs
        slow |= {"torchvision"}
    assert not at_once & slow


def test_the_test_of_the_imports_sees_imports_inside_functions():
    assert "sklearn" in packages("features/embed/scores.py")
    assert {"errors", "files"} <= own_modules("features/datasets/folders.py")
    assert "ast" in sys.stdlib_module_names & packages("tests/test_imports.py")

"""The networks of a comparison, one row each, and the pairs of them at one glance."""

from features.compare import Agreement
from viz.figures import compare as figures
from viz.reports.compare import words
from viz.reports.compare.told import Told, pair_key
from viz.reports.document import BEST, LESS, MORE, QUIET, Cell, Column, Figure, Part, Section, Table

NOTHING, TO_THE_BEST = "-", "to the best"
MEANINGS = {
    "95 %": "in which the true accuracy lies 95 times of a hundred", "F1": "mean over the classes that occur",
    "mAP": "mean average precision over the labels that occur", "ECE": "expected calibration error",
    "MB": "of weights as they run, and of their file where it is smaller",
    "GFLOPs": "billions of multiply-adds for one image",
    "ms for one": "milliseconds for one image: median, lowest and highest",
    "images/s": "at the best number at a time: median, lowest and highest",
    "memory, MB": "most that was in use",
    TO_THE_BEST: "difference to the most accurate network",
}  # fmt: skip


def networks(told: Told) -> Section:
    """Who wins at what."""
    comparison = told.comparison
    data = words.table(comparison)
    parts: list[Part] = [
        Table("networks", "Networks", tuple(_columns(told)), data, words.networks(comparison)),
        Figure(
            "cost", "Accuracy over cost", figures.cost(comparison.contenders),
            data[["network", "accuracy", "accuracy low", "accuracy high", "gflops", "parameters"]],
            "Accuracy of each network with its interval, over the multiply-adds of one image.", words.COST,
        ),
    ]  # fmt: skip
    return Section("quality", "Cost and quality", tuple(parts))


def agreement(told: Told) -> Section | None:
    """Every two networks; None for two alone, of which all is said in detail."""
    names = [each.name for each in told.comparison.contenders]
    if len(names) == 2:
        return None
    data = words.pair_table(told.comparison)
    numbered = [f"{number} {name}" for number, name in enumerate(names, start=1)]
    differences, kappas = _matrices(told, names)
    tables = (
        Table(
            "differences", "Differences of accuracy, in percentage points", _square(numbered, differences), data,
            "The row's network minus the column's. Grey: within what chance gives (McNemar's test, corrected for the "
            f"{len(told.comparison.pairs)} pairs, Holm 1979). Each leads to its pair.",
        ),
        Table("consistency", "Error consistency", _square(numbered, kappas), data, words.KAPPA),
    )  # fmt: skip
    return Section("pairs-at-a-glance", "Who is right where the other is wrong", tables)


def _columns(told: Told) -> list[Column]:
    rows, tones = words.rows(told.comparison), words.tones(told.comparison)
    columns = []
    for head in rows[0]:
        cells = [Cell(row[head], tone.get(head, "")) for row, tone in zip(rows, tones, strict=True)]
        columns.append(Column(head, cells, MEANINGS.get(head, ""), number=head != "network"))
        if head == "95 %":
            columns.append(Column(TO_THE_BEST, _beside_the_best(told), MEANINGS[TO_THE_BEST]))
    return columns


def _beside_the_best(told: Told) -> list[Cell]:
    """Each network's accuracy minus that of the most accurate, quiet where that may be chance."""
    contenders, pairs = told.comparison.contenders, told.comparison.pairs
    top = max(contenders, key=lambda each: each.accuracy.value)
    cells = {top.name: Cell("most accurate", BEST)}
    for number, pair in enumerate(pairs):
        if top.name in (pair.first, pair.second):
            other = pair.second if pair.first == top.name else pair.first
            less = 100 * abs(pair.agreement.difference)
            cells[other] = Cell(f"-{less:.2f} pp" if less else "0 pp", "" if pair.differs else QUIET, pair_key(number))
    return [cells[each.name] for each in contenders]


def _matrices(told: Told, names: list[str]) -> tuple[list[list[Cell | str]], list[list[Cell | str]]]:
    """Differences and kappas, (M, M) each, of M networks in their order."""
    number = {name: place for place, name in enumerate(names)}
    differences: list[list[Cell | str]] = [[NOTHING] * len(names) for _ in names]
    kappas: list[list[Cell | str]] = [[NOTHING] * len(names) for _ in names]
    for place, pair in enumerate(told.comparison.pairs):
        one, other, key = number[pair.first], number[pair.second], pair_key(place)
        for row, column, sign in ((one, other, -1), (other, one, 1)):
            value = round(100 * sign * pair.agreement.difference, 1)
            tone = QUIET if not pair.differs else MORE if value > 0 else LESS
            differences[row][column] = Cell(f"{value:+.1f}" if value else "0", tone, key)
            kappas[row][column] = Cell(_kappa(pair.agreement), link=key)
    return differences, kappas


def _kappa(counted: Agreement) -> str:
    return f"{round(counted.kappa, 2) + 0:.2f}" if counted.kappa == counted.kappa else NOTHING  # + 0: no -0.00


def _square(names: list[str], cells: list[list[Cell | str]]) -> tuple[Column, ...]:
    heads = Column("network", names, number=False)
    return heads, *(Column(str(place + 1), [row[place] for row in cells], names[place]) for place in range(len(names)))

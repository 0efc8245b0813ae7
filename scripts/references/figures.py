"""docs/reference/figures.md, from the definitions."""

from __future__ import annotations

from matcher.figures.asof import APART
from matcher.figures.definitions import DEFINITIONS, VERSION, Basis, Counted
from matcher.figures.suppression import THRESHOLD

HEAD = f"""\
# Figures

Made from `matcher/figures/definitions.py` by `make reference`; a test fails when it is out of date.
The definitions' version is **{VERSION}**; every kept day, and every report, names it.

A figure is as of the end of a day in China: a *position* on that day, or *cumulative* since the programme began.
What a month or a year brought is the difference of two days. It is made of records by one
SQL statement, which also lists them: `mingce report trace NAME --on DAY` shows the records behind a number, and
whether it is still the number that was kept.

Each figure is kept for the county, for each township, and (where its records are loans or lines) for each product
and each pair of both. A household may have several products, so households need not add up over products; amounts
do. A cell that is not kept is nought.

Distinct households are families: the cases of the same people in several years' base lists (`household_link`) count
once, and their facilities and incomes follow one another. A family that moved stands in both townships' numbers.

The nightly job computes a day once; running it again for the same records changes nothing, which the day's SHA-256
shows. When records come late, the day computed again is another, and the audit log has a
row `figures.compute` for each change. A report computes its own last day anew, and takes the days it compares with
as they were kept: what was told late counts in the month of the telling.

| figure | | unit | | by product | made of |
|---|---|---|---|---|---|
"""
TAIL = f"""
Income is compared between two accepted forms of a household at least {APART.days} days apart, because revisits are
not a year apart to the day.
A line counts in the figures of subsidy once it is due and its interest is paid (`claimable`,
[claims.md](claims.md)); adjustments count with their sign.

## Small cells

Every cell knows how many households stand behind it. In a report for the outside (`--outside`, and always for a
bank's account) a cell with one to {THRESHOLD - 1} households is hidden, and with it the smallest others of
its column until at least two cells with {THRESHOLD} households together are hidden, so that the column's total does
not give it away (`matcher/figures/suppression.py`). A total of one to {THRESHOLD - 1} is hidden with all its parts.
Where
every township has one household, the whole column is hidden, noughts too. A month's or a year's change is hidden
where either end is a small cell or the change itself is one to {THRESHOLD - 1} households.
Whoever keeps all reports of many months can still subtract one from another: hide what follows from a series by
publishing less often.
"""
_COUNTED = {
    Counted.HOUSEHOLDS: "distinct households of",
    Counted.RECORDS: "number of",
    Counted.SUM: "sum over",
}


def reference() -> str:
    rows = []
    for definition in DEFINITIONS.values():
        basis = "position" if definition.basis is Basis.POSITION else "cumulative"
        by_product = "yes" if definition.by_product else ""
        rows.append(
            f"| `{definition.name}` | {definition.zh} | {definition.unit.value} | {basis} | {by_product} |"
            f" {_COUNTED[definition.counted]}: {definition.meaning} |"
        )
    return HEAD + "\n".join(rows) + "\n" + TAIL

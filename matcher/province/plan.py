"""What the work on a list is told, what it answers, and why it may stop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from matcher.schemas import KUOZHONG, ListSchema
from matcher.tables.duplicates import Keep
from psi.edition import LabelSchema
from psi.errors import InputError, MingceError


class ListShrunk(MingceError):
    """The new list lost more rows than the operator allows without a word; nothing was published."""

    code = "list_shrunk"


class ListWithdrawn(MingceError):
    """This very list was rolled back by the operator, and is not published again by itself."""

    code = "list_withdrawn"


class ListSuperseded(MingceError):
    """This whole list was published already, and change lists were taken in since: publishing it would undo them."""

    code = "list_superseded"


class WholeListNeeded(MingceError):
    """A change list cannot be taken in before a refresh with the whole list; ``params["reason"]`` says why.

    no_edition: there is nothing to change yet; older_version: the edition lacks what a change list needs; canaries:
    some were planted since; too_many: more rows than memory should hold.
    """

    code = "whole_list_needed"


class ChangesMisfit(MingceError):
    """Too much of a change list contradicts the edition that is served; nothing was published.

    ``params``: edition, rows, misfits (rows said to be new that are there, or changed or gone that are not).
    """

    code = "changes_misfit"


class ChangesOutOfOrder(MingceError):
    """A change list was made to follow on another edition than the one that is served; ``params``: edition, since."""

    code = "changes_out_of_order"


class ChangesUnclear(InputError):
    """A change list cannot be understood; ``params``: reason, rows, row (the first in the file).

    twice: it says two things about one number; operation: it has a word for an operation that nobody knows.
    """

    code = "changes_unclear"


class NothingStaged(InputError):
    """There is no imported list, or no encoded edition, to go on with."""

    code = "nothing_staged"


@dataclass(frozen=True)
class DatasetPlan:
    """How one dataset is published; the command line fills it from mingce.toml.

    ``division`` is the county of all rows, for a list that does not say.
    Changes against the last full edition up to ``delta_limit`` of the rows make a delta edition. An edition
    ``renew_days`` old is published anew though nothing changed. ``keep_editions`` stay on disk.
    """

    dataset: str
    epoch: str
    schema: ListSchema = KUOZHONG
    label_width: int | None = None
    division: str | None = None
    bucket: int = 1_024
    duplicates: Keep = "last"
    shrink_limit: float = 0.2
    delta_limit: float = 0.1
    renew_days: int = 7
    keep_editions: int = 30
    columns: dict[str, str | list[str]] = field(default_factory=dict)

    @property
    def label(self) -> LabelSchema:
        return self.schema.label(self.label_width)


@dataclass(frozen=True)
class Outcome:
    """What a step did: imported, checked, encoded, would_encode, published, would_publish, rolled_back,
    would_roll_back or unchanged. ``kind`` is full or delta, "" where no edition was made. ``misfits`` are rows of a
    change list that were taken in although they did not fit the edition before.
    """

    outcome: str
    dataset: str
    epoch: str
    edition: int | None
    rows: int
    kind: str = ""
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    rejected: int = 0
    misfits: int = 0
    source_sha256: str = ""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Observer:
    """Hears each step's name before it begins, and how many of how many rows are done."""

    def step(self, name: str, total: int | None = None) -> None:
        pass

    def progress(self, done: int) -> None:
        pass


SILENT = Observer()

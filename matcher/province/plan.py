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
    would_roll_back or unchanged. ``kind`` is full or delta, "" where no edition was made.
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

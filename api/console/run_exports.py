"""匹配与密钥 as files: a bureau's own checks, their warrants and editions, what both sides signed, what was drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.bureau.services import CurrentActor, CurrentOffice
from api.console.checks import RUN_STATES
from api.console.exporting import CurrentTaking, ListOut, first_of, hand_out_list
from api.console.language import mark
from api.console.names import dataset_words, links_of
from api.console.rendering import moment
from api.console.runs import RECORDS, SEEN_WITH, WARRANTS
from matcher.checks.links import CheckRuns, LinkView

router = APIRouter(prefix="/runs")

What = Literal["runs", "warrants", "editions", "records", "openings"]
TITLES: Mapping[What, str] = {
    "runs": mark("部门核验的运行"),
    "warrants": mark("授权书"),
    "editions": mark("部门名单版本"),
    "records": mark("交换记录"),
    "openings": mark("审计抽查"),
}
COLUMNS: Mapping[What, tuple[str, ...]] = {
    "runs": ("编号", "时间", "状态", "密钥期", "版本", "核对人数", "本次查询", "计入额度", "授权书", "经办"),
    "warrants": (
        "授权书（SHA-256）", "状态", "有效期起", "有效期止", "已查询（人）", "最多（人）", "签名", "目的", "依据",
        "协议编号",
    ),
    "editions": ("密钥期", "版本", "制作", "有效至", "采用", "遗忘", "公钥指纹"),
    "records": ("记录摘要（SHA-256）", "签名", "运行", "密钥期", "元素", "我方签名", "对方签名"),
    "openings": ("抽查（SHA-256）", "关于记录", "位置数", "两人同意", "已打开"),
}  # fmt: skip


@router.post("/checks/export")
def export_checks(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    what: Annotated[Literal["runs", "warrants", "editions"], Form()],
) -> Response:
    """Of every department, whole: the page shows the newest."""
    return _export(request, actor, office, taking, what, "/runs/checks")


@router.post("/records/export")
def export_records(
    request: Request,
    actor: CurrentActor,
    office: CurrentOffice,
    taking: CurrentTaking,
    what: Annotated[Literal["records", "openings"], Form()],
) -> Response:
    """The exchange records, or the auditors' draws, of every department."""
    return _export(request, actor, office, taking, what, "/runs/records")


def _export(
    request: Request, actor: CurrentActor, office: CurrentOffice, taking: CurrentTaking, what: What, back: str
) -> Response:
    out = ListOut(TITLES[what], f"checks/{what}", first_of(actor, *SEEN_WITH), ("名单", *COLUMNS[what]))
    names = dataset_words(request)

    def make_rows() -> Iterable[tuple[str, ...]]:
        for view in CheckRuns(office, links_of(request)).show(actor):
            for row in _ROWS[what](view):
                yield (names(view.link.name), *("" if cell is None else str(cell) for cell in row))

    return hand_out_list(request, actor, office, taking, out, make_rows, back=back)


def _runs(view: LinkView) -> Iterable[tuple[object, ...]]:
    for one in view.runs:
        yield (
            one.run_id, moment(one.created_at), RUN_STATES[one.state][0], one.epoch, one.edition, one.customers,
            one.asked, one.charged, one.warrant_sha256, one.operator,
        )  # fmt: skip


def _warrants(view: LinkView) -> Iterable[tuple[object, ...]]:
    for one in view.warrants:
        terms = one.record.terms
        yield (
            one.record.sha256, WARRANTS[one.state][0], terms.not_before.date(), terms.not_after.date(), one.used,
            terms.max_new_customers, "、".join(one.signers), terms.purpose, terms.legal_basis, terms.agreement_no,
        )  # fmt: skip


def _editions(view: LinkView) -> Iterable[tuple[object, ...]]:
    for one in view.editions:
        yield (
            one.epoch, one.edition, moment(one.created_at), moment(one.not_after), moment(one.adopted_at),
            moment(one.forgotten_at), one.fingerprint,
        )  # fmt: skip


def _records(view: LinkView) -> Iterable[tuple[object, ...]]:
    for one in view.records:
        yield (
            one.sha256, RECORDS[one.state][0], one.run_id, one.epoch, one.elements, moment(one.signed_at),
            moment(one.settled_at),
        )  # fmt: skip


def _openings(view: LinkView) -> Iterable[tuple[object, ...]]:
    for one in view.openings:
        yield (
            one.draw_sha256, one.record_sha256, one.positions, moment(one.approved_at), moment(one.opened_at)
        )  # fmt: skip


_ROWS: Mapping[What, Callable[[LinkView], Iterable[tuple[object, ...]]]] = {
    "runs": _runs,
    "warrants": _warrants,
    "editions": _editions,
    "records": _records,
    "openings": _openings,
}

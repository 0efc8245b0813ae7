"""What a match looks like on the command line, whoever asks: a bank, or a bureau that checks households."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from api.client import Connection, ProvinceClient
from api.progress import Progress
from matcher.rejects import write_rejects
from matcher.tables import CustomerList
from scripts.home import Home
from scripts.language import say
from scripts.output import Steps, notice
from scripts.settings import ProvinceLink

STEP_NAMES = {
    "manifest": ("取得版本清单", "fetch the manifest"),
    "slices": ("下载名单分片", "download slices"),
    "plan": ("计划批次", "plan batches"),
    "evaluate": ("盲查询", "blind, ask, verify"),
    "look_up": ("比对", "look up"),
    "record": ("交换签名记录", "exchange signed records"),
    "completed": ("完成", "done"),
}


def connect(home: Home, link: ProvinceLink) -> ProvinceClient:
    """A client of the sender that ``link`` describes, signing as this home."""
    connection = Connection(
        url=link.url,
        ca_file=link.ca_file and home.resolve(link.ca_file),
        client_cert=link.client_cert and home.resolve(link.client_cert),
        client_key=link.client_key and home.resolve(link.client_key),
        proxy=link.proxy,
        timeout_s=link.timeout_s,
        allow_plain_http=link.allow_plain_http,
    )
    return ProvinceClient(connection, home.open_keys().get_identity(), home.clock)


def report_rejects(listed: CustomerList, path: Path | None) -> None:
    """Write the reject file if one is wanted, and say how many rows were refused."""
    if not listed.rejects:
        return
    if path is not None:
        write_rejects(path, listed.rejects)
        notice(say(f"退回 {len(listed.rejects):,} 行 → {path}", f"{len(listed.rejects):,} rows refused → {path}"))
    else:
        notice(
            say(
                f"退回 {len(listed.rejects):,} 行，用 --rejects 文件名 导出明细。",
                f"{len(listed.rejects):,} rows refused; list them with --rejects FILE.",
            )
        )


def bar_observer(steps: Steps) -> Callable[[Progress], None]:
    """Shows a match's progress as bars."""
    last = ""

    def observe(progress: Progress) -> None:
        nonlocal last
        if progress.step != last:
            last = progress.step
            steps.begin(say(*STEP_NAMES[progress.step]), progress.total)
        steps.advance_to(progress.done)

    return observe

"""``mingce doctor``: what ails a home, and what to do about it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from matcher.keeping.backup import read_last_backup
from matcher.keeping.doctor import examine
from matcher.keeping.findings import Finding, ListPlan, Subject
from matcher.keeping.refreshed import read_last_refreshes
from scripts.home import ConfigOption, Home, JsonOption, open_any_home, open_kek
from scripts.keeping.advice import advise
from scripts.keeping.textfile import DoctorMetrics
from scripts.language import say
from scripts.output import print_result

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="read every byte of the served editions, too")] = False,
    metrics: Annotated[
        Path | None, typer.Option("--metrics", help="write Prometheus text here, for the node exporter (….prom)")
    ] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """体检。 Look at a home's host, folder, keys, certificates, store, regular work and backup. Changes nothing.

    Exit code 0: sound. 4: only warnings. 1: errors.

    Example: mingce doctor --config province
    """
    home = open_any_home(config)
    found = examine(subject_of(home), deep=deep)
    if metrics is not None:
        last = read_last_backup(home.path)
        refreshed = min(read_last_refreshes(home.path).values(), default=None)
        DoctorMetrics().write(metrics, home.settings.party, found, last, refreshed, home.clock.now())
    worst = "error" if any(finding.level == "error" for finding in found) else "warning" if found else "ok"
    print_result(
        {"home": str(home.path), "party": home.settings.party, "state": worst, "findings": list(map(_describe, found))},
        [line for finding in found for line in _lines(finding)] or [say("一切正常。", "All is well.")],
        as_json=json_,
    )
    if found:
        raise typer.Exit(1 if worst == "error" else 4)


def subject_of(home: Home) -> Subject:
    """What the configuration says, for the doctor."""
    settings = home.settings
    return Subject(
        home=home.path,
        party=settings.party,
        clock=home.clock,
        kek=None if settings.keys.kek == "passphrase" else open_kek(home.path, settings.keys.kek),
        backup_max_age=timedelta(hours=settings.backup.max_age_hours),
        lists={
            name: ListPlan(each.renew_days, each.rotation.policy, each.source and home.resolve(each.source))
            for name, each in settings.dataset.items()
        },
        certificates=_certificates(home),
        files=_files(home),
        edition_max_age_days=settings.match.max_age_days,
    )


def _certificates(home: Home) -> dict[str, tuple[Path, Path | None]]:
    serve, found = home.settings.serve, {}
    links = {"province": home.settings.province, **{f"department.{n}": d for n, d in home.settings.department.items()}}
    if serve.tls_cert is not None:
        found["serve.tls_cert"] = (home.resolve(serve.tls_cert), serve.tls_key and home.resolve(serve.tls_key))
    if serve.proxy_cert is not None:
        found["serve.proxy_cert"] = (home.resolve(serve.proxy_cert), None)
    if serve.client_ca is not None:
        found["serve.client_ca"] = (home.resolve(serve.client_ca), None)
    for name, link in links.items():
        if link.client_cert is not None:
            key = link.client_key and home.resolve(link.client_key)
            found[f"{name}.client_cert"] = (home.resolve(link.client_cert), key)
    return found


def _files(home: Home) -> dict[str, Path]:
    """Files that the settings name and that must be there for the party's work."""
    found = {}
    if home.settings.party == "bank":
        found["province.identity"] = home.resolve(home.settings.province.identity)
    for name, link in home.settings.department.items():
        found[f"department.{name}.identity"] = home.resolve(link.identity)
    if home.settings.backup.recipient is not None:
        found["backup.recipient"] = home.resolve(home.settings.backup.recipient)
    return found


def _describe(finding: Finding) -> dict[str, object]:
    what, following = advise(finding.code, finding.params)
    return {"level": finding.level, "code": finding.code, "message": what, "next": following, **finding.params}


def _lines(finding: Finding) -> list[str]:
    what, following = advise(finding.code, finding.params)
    mark = say("错误", "error") if finding.level == "error" else say("提醒", "warning")
    return [f"{mark} {finding.code}: {what}", "  " + say("下一步：", "Next: ") + following]

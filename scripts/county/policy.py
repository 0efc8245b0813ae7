"""``mingce policy``: read a county's rules, compare two versions, adopt one, and ask what another would change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from keys.clock import BEIJING, SystemClock
from keys.files import write_atomic
from matcher.policy import Policy, list_examples, load_policy
from matcher.subsidy.lines import yuan
from scripts.county import policy_adoption
from scripts.home import JsonOption
from scripts.language import say
from scripts.messages import Refused
from scripts.output import print_result

AMOUNTS = frozenset({"income.limit", "loan.household_cap"})  # kept in 分, shown in yuan

app = typer.Typer(no_args_is_help=True, help="政策：校验、比较、采用、试算。 Check, compare, adopt and try policies.")
app.add_typer(policy_adoption.app)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="policy files")],
    json_: JsonOption = False,
) -> None:
    """Read policy files strictly; say what each one is and which settings no source states.

    Example: mingce policy check 330922-2023.toml
    """
    found = [(path, load_policy(path)) for path in files]
    lines = []
    for path, loaded in found:
        policy = loaded.policy
        lines += [
            say(
                f"{path.name}：可用。{policy.county_name} {policy.version}，{policy.valid_from} 至 {policy.valid_to}",
                f"{path.name}: usable. {policy.county_name} {policy.version}, {policy.valid_from} to {policy.valid_to}",
            ),
            f"  SHA-256 {loaded.sha256}",
            *_not_today(policy),
        ]
        for setting in policy.assumed:
            value = _shown(policy.setting(setting), setting)
            lines.append(say(f"  须确认：{setting} = {value}", f"  to be confirmed: {setting} = {value}"))
    result = [
        {"file": str(path), "sha256": loaded.sha256, **loaded.policy.model_dump(mode="json")} for path, loaded in found
    ]
    print_result({"policies": result}, lines, as_json=json_)


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="a policy file")],
    new: Annotated[Path, typer.Argument(help="another")],
    json_: JsonOption = False,
) -> None:
    """Show every setting that two policy files give differently.

    Example: mingce policy diff 330922-2023.toml 330922-2024.toml
    """
    before, after = (dict(_settings(load_policy(path).policy)) for path in (old, new))
    changes = [
        {"setting": name, "old": before.get(name, "-"), "new": after.get(name, "-")}
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    lines = [f"{change['setting']}: {change['old']} → {change['new']}" for change in changes]
    print_result({"changes": changes}, lines or [say("两份政策相同。", "The two are alike.")], as_json=json_)


@app.command()
def example(
    county: Annotated[str, typer.Argument(help="six digits")],
    out: Annotated[Path, typer.Argument(help="where to write the copy")],
    json_: JsonOption = False,
) -> None:
    """Copy the example policy of a county of the official plans, to check and change.

    Example: mingce policy example 330922 330922-2023.toml
    """
    found = [path for path in list_examples() if path.name.startswith(f"{county}-")]
    if not found:
        known = ", ".join(path.name[:6] for path in list_examples())
        raise Refused(f"没有 {county} 的示例；有：{known}", f"There is no example for {county}; there are: {known}")
    if out.exists():
        raise Refused(f"{out} 已存在，不会覆盖。", f"{out} exists and is not overwritten.")
    write_atomic(out, found[0].read_bytes())
    print_result({"file": str(out)}, [say(f"已写入 {out}", f"Wrote {out}")], as_json=json_)


def _not_today(policy: Policy) -> list[str]:
    """The examples are of years past: adopted as they are, they put nothing in force."""
    today = SystemClock().now().astimezone(BEIJING).date()
    if policy.valid_from <= today <= policy.valid_to:
        return []
    return [
        say(
            f"  今天（{today}）不在有效期内：采用后也不生效。请核对 valid_from、valid_to。",
            f"  Today ({today}) is not within its days: adopted, it is not in force. See valid_from and valid_to.",
        )
    ]


def _settings(policy: Policy) -> Iterator[tuple[str, str]]:
    """Every setting by its path, as it is shown."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for name, part in value.items():
                yield from walk(part, f"{path}.{name}" if path else name)
        else:
            yield path, _shown(value, path)

    document = policy.model_dump()
    for key, numbered in (("targets", "no"), ("loan.products", "code")):
        *folders, last = key.split(".")
        place = document
        for folder in folders:
            place = place[folder]
        place[last] = {str(item.pop(numbered)): item for item in place[last]}
    yield from walk(document, "")


def _shown(value: object, path: str) -> str:
    if path in AMOUNTS and isinstance(value, int):
        return f"{yuan(value)} 元"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)

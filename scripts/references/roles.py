"""docs/reference/roles.md, from the roles themselves."""

from __future__ import annotations

from collections.abc import Iterator

from matcher.bureau.actors import PERMISSION_WORDS, PERMISSIONS, ROLE_WORDS, Permission, Role

HEAD = """\
# Roles and permissions

Made from the program by `make reference`; a test fails when it is out of date.

Who works in the bureau's home has an account: one person, one account. An account has roles, and for each role the
least that it needs. Two-person rules compare accounts, whatever their roles: nobody approves, confirms or adopts what
they did themselves.

- **admin** and **auditor** go with no other role; a bank's roles go with no role of the government.
- A township's account has the divisions in its care, and sees and does nothing outside them. A bank's account belongs
  to one bank, and sees no other bank's loans and claims.
- An account begins when one administrator proposes it and another approves it. The person gets a one-time password,
  good for seven days and only for choosing their own. The first two administrators are made by whoever holds the home
  (`mingce account found`).
- A closed account's name is never used again: records name it for ever.
- After four failed sign-ins the next ones wait: a minute, then two, four, eight, at most fifteen. Failures count for
  one account at one place: a device that signed in to it before, or everywhere else together. So whoever guesses keeps
  out neither the owner at their usual device, nor anybody else, and no account is ever blocked for good.
"""


def reference() -> str:
    return "\n".join([HEAD, *_roles(), "", *_permissions(), ""])


def _roles() -> Iterator[str]:
    yield "| role | |"
    yield "|---|---|"
    for role in Role:
        yield f"| `{role.value}` | {ROLE_WORDS[role]} |"


def _permissions() -> Iterator[str]:
    yield "| permission | | " + " | ".join(f"`{role.value}`" for role in Role) + " |"
    yield "|---|---|" + "---|" * len(Role)
    for permission in Permission:
        words, meaning = PERMISSION_WORDS[permission]
        marks = ("×" if permission in PERMISSIONS[role] else "" for role in Role)
        yield f"| `{permission.value}` | {words}: {meaning} | " + " | ".join(marks) + " |"

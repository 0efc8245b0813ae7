"""Which policies are in force: proposed by one person, adopted by another, then never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from matcher.bureau.actors import Actor, Permission
from matcher.bureau.office import Office
from matcher.policy import LoadedPolicy, choose_policy, parse_policy
from matcher.rows import fetch_all, fetch_records
from psi.errors import InputError, MingceError


class PolicyNotProposed(InputError):
    """No proposed policy has this SHA-256; ``params``: sha256."""

    code = "policy_proposal_unknown"


class PolicyForeign(InputError):
    """The policy is of a county that is not the office's; ``params``: county."""

    code = "policy_foreign"


class PolicyClash(MingceError):
    """Another adopted policy of the county begins on the same day; ``params``: county, valid_from, other."""

    code = "policy_clash"


@dataclass(frozen=True)
class PolicyRecord:
    """A policy that was proposed here, and what became of it."""

    sha256: str
    county: str
    version: str
    valid_from: str
    valid_to: str
    state: str
    proposed_by: str
    proposed_at: str
    adopted_by: str | None
    adopted_at: str | None


class Policies:
    """The policies of one office's counties."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def propose(self, actor: Actor, content: bytes, file: str) -> PolicyRecord:
        """Put a policy file forward; one that is known already stays as it is.

        Raises NotAllowed, PolicyInvalid, PolicyForeign.
        """
        actor.require(Permission.PROPOSE_POLICY)
        loaded = parse_policy(content, file)
        policy = loaded.policy
        if policy.county not in self._office.divisions:
            raise PolicyForeign("a policy of a county that is not ours", county=policy.county)
        with self._office.writing() as database:
            added = database.execute(
                "INSERT INTO policy (sha256, county, version, valid_from, valid_to, content, state, proposed_by,"
                " proposed_at) VALUES (?, ?, ?, ?, ?, ?, 'proposed', ?, ?) ON CONFLICT (sha256) DO NOTHING",
                [
                    loaded.sha256,
                    policy.county,
                    policy.version,
                    policy.valid_from.isoformat(),
                    policy.valid_to.isoformat(),
                    content,
                    actor.name,
                    self._office.now(),
                ],
            )
            if added.rowcount == 1:
                self._record(actor, "policy.propose", loaded)
        return self._get(loaded.sha256)

    def adopt(self, actor: Actor, sha256: str) -> PolicyRecord:
        """A second person puts it in force; again it changes nothing.

        Raises NotAllowed, SamePerson, PolicyNotProposed, PolicyClash.
        """
        actor.require(Permission.ADOPT_POLICY)
        with self._office.writing() as database:
            record = self._get(sha256)
            if record.state == "adopted":
                return record
            if record.state != "proposed":
                raise PolicyNotProposed("the policy was withdrawn", sha256=sha256)
            actor.require_other(record.proposed_by)
            clash = database.execute(
                "SELECT version FROM policy WHERE county = ? AND valid_from = ? AND state = 'adopted'",
                [record.county, record.valid_from],
            ).fetchone()
            if clash is not None:
                raise PolicyClash(
                    "another policy in force begins on the same day",
                    county=record.county,
                    valid_from=record.valid_from,
                    other=clash[0],
                )
            database.execute(
                "UPDATE policy SET state = 'adopted', adopted_by = ?, adopted_at = ? WHERE sha256 = ?",
                [actor.name, self._office.now(), sha256],
            )
            self._record(actor, "policy.adopt", self.by_sha256(sha256))
        return self._get(sha256)

    def withdraw(self, actor: Actor, sha256: str) -> PolicyRecord:
        """Take a proposal back; what was adopted stays. Raises NotAllowed, PolicyNotProposed."""
        actor.require(Permission.PROPOSE_POLICY)
        with self._office.writing() as database:
            if self._get(sha256).state != "proposed":
                raise PolicyNotProposed("only a proposal can be withdrawn", sha256=sha256)
            database.execute("UPDATE policy SET state = 'withdrawn' WHERE sha256 = ?", [sha256])
            self._record(actor, "policy.withdraw", self.by_sha256(sha256))
        return self._get(sha256)

    def list(self, county: str | None = None) -> list[PolicyRecord]:
        """The newest first."""
        records = fetch_records(
            self._office.database,
            "SELECT sha256, county, version, valid_from, valid_to, state, proposed_by, proposed_at, adopted_by,"
            " adopted_at FROM policy WHERE ?1 IS NULL OR county = ?1 ORDER BY valid_from DESC, proposed_at DESC",
            [county],
        )
        return [PolicyRecord(**record) for record in records]

    def policy_for(self, county: str, on: date) -> LoadedPolicy:
        """The adopted policy in force on a day. Raises PolicyUnknown."""
        rows = fetch_all(
            self._office.database, "SELECT sha256 FROM policy WHERE county = ? AND state = 'adopted'", [county]
        )
        return choose_policy([self.by_sha256(sha256) for (sha256,) in rows], county, on)

    def by_sha256(self, sha256: str) -> LoadedPolicy:
        """A policy as it was proposed, to the letter. Raises PolicyNotProposed."""
        return _parsed(self.content_of(sha256))

    def content_of(self, sha256: str) -> bytes:
        """Its file's bytes. Raises PolicyNotProposed."""
        rows = fetch_all(self._office.database, "SELECT content FROM policy WHERE sha256 = ?", [sha256])
        if not rows:
            raise PolicyNotProposed("no policy has this SHA-256", sha256=sha256)
        return bytes(rows[0][0])

    def _get(self, sha256: str) -> PolicyRecord:
        found = [record for record in self.list() if record.sha256 == sha256]
        if not found:
            raise PolicyNotProposed("no policy has this SHA-256", sha256=sha256)
        return found[0]

    def _record(self, actor: Actor, action: str, loaded: LoadedPolicy) -> None:
        self._office.record_within(
            actor, action, f"policy/{loaded.sha256}", county=loaded.policy.county, version=loaded.policy.version
        )


@lru_cache(maxsize=64)  # the same few files over and over
def _parsed(content: bytes) -> LoadedPolicy:
    return parse_policy(content)

"""The bureau's households: their members, where they stand, and what the county decides before anybody visits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date

from matcher.accounts.idempotency import Idempotency
from matcher.bureau.actors import Actor, Permission
from matcher.bureau.bulk import Outcome
from matcher.bureau.office import Office
from matcher.households import refining, showing, simulating, supplementing
from matcher.households.assessing import Assessed, assess_each, shown
from matcher.households.cases import read_case_within
from matcher.households.facts import KnownFacts, gather_facts
from matcher.households.moves import move_within
from matcher.households.policies import Policies
from matcher.households.refining import Refinement, Wanted
from matcher.households.showing import HouseholdDetails, HouseholdFilter, HouseholdRow
from matcher.households.simulating import Simulation
from matcher.households.supplementing import Conflict
from matcher.personal.fields import require_plain
from matcher.policy import LoadedPolicy
from psi.errors import InputError


class Households:
    """Works on one office's store. ``key``, where a method takes one, makes a repeated request one change."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self.policies = Policies(office)
        self._idempotency = Idempotency(office)

    # Looking

    def list(
        self, actor: Actor, wanted: HouseholdFilter | None = None, *, after: int = 0, size: int = 50
    ) -> list[HouseholdRow]:
        """Households in the account's care by number, ``size`` at most (500), those beyond number ``after``.

        Raises NotAllowed.
        """
        return showing.list_page(self._office, actor, wanted or HouseholdFilter(), after=after, size=size)

    def count(self, actor: Actor, wanted: HouseholdFilter | None = None) -> dict[str, int]:
        """How many of them stand where, by state. Raises NotAllowed."""
        return showing.count_states(self._office, actor, wanted or HouseholdFilter())

    def count_by_township(self, actor: Actor, county: str, states: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """How many households of a county are in which of these states, by township. Raises NotAllowed."""
        return showing.count_by_township(self._office, actor, county, states)

    def list_townships(self, actor: Actor) -> Sequence[str]:
        """The townships that households in the account's care are in, nine digits each. Raises NotAllowed."""
        return showing.list_townships(self._office, actor)

    def list_years(self, actor: Actor) -> Sequence[int]:
        """The years whose lists were matched, the newest first. Raises NotAllowed."""
        return showing.list_years(self._office, actor)

    def list_banks(self, actor: Actor) -> Mapping[str, str]:
        """The banks that hand over, names by fingerprint; for a bank's own people theirs. Raises NotAllowed."""
        return showing.list_banks(self._office, actor)

    def find_numbers(self, actor: Actor, numbers: Sequence[str]) -> Sequence[HouseholdRow]:
        """Households in the account's care by their 家庭编号, of every year, the newest first. Raises NotAllowed."""
        return showing.find_numbers(self._office, actor, numbers)

    def list_named(self, actor: Actor, household_ids: Sequence[int]) -> Sequence[HouseholdRow]:
        """Those of these that are in the account's care. Raises NotAllowed."""
        return showing.list_named(self._office, actor, household_ids)

    def show(self, actor: Actor, household_id: int) -> HouseholdDetails:
        """One household with its members, masked, its conflicts, links and moves.

        Raises HouseholdUnknown, NotAllowed.
        """
        return showing.show(self._office, actor, household_id)

    def list_conflicts(
        self, actor: Actor, *, household_id: int | None = None, settled: bool = False
    ) -> Sequence[Conflict]:
        """Open conflicts in the account's care, masked; with ``settled`` all. Raises NotAllowed."""
        return supplementing.list_conflicts(self._office, actor, household_id=household_id, settled=settled)

    def page_conflicts(
        self, actor: Actor, *, kind: str = "", area: str = "", after: int = 0, size: int = 50
    ) -> Sequence[Conflict]:
        """Open ones by number, ``size`` at most, those beyond number ``after``. Raises NotAllowed."""
        return supplementing.list_conflicts(self._office, actor, kind=kind, area=area, after=after, size=size)

    def count_conflicts(self, actor: Actor, area: str = "") -> Mapping[str, int]:
        """How many open ones of each kind are in the account's care. Raises NotAllowed."""
        return supplementing.count_conflicts(self._office, actor, area)

    def show_conflict(self, actor: Actor, conflict_id: int) -> Conflict:
        """One, settled or not. Raises ConflictUnknown, NotAllowed."""
        return supplementing.show_conflict(self._office, actor, conflict_id)

    def reveal_names(self, actor: Actor, conflict_id: int, reason: str) -> Sequence[str]:
        """The names of a two_names_for_one_number in the clear, as ``Conflict.names`` has them, with an audit row.

        Raises ConflictUnknown, NotAllowed, TextNotPlain.
        """
        with self._office.writing():
            return supplementing.reveal_names_within(self._office, actor, conflict_id, reason)

    # The policy, and what it says of a household

    def gather_facts(self, household_ids: Sequence[int], on: date) -> Iterator[KnownFacts]:
        """What is known of households, each fact with its source and day; in the order given, unknown ones left out.

        Labels, members, the departments' newest answers, open conflicts, and the form of the newest accepted visit.
        Not masked: for other parts, which seal it or show what an account may see.
        """
        return gather_facts(self._office, household_ids, on)

    def assess_each(self, policy: LoadedPolicy, household_ids: Sequence[int], on: date) -> Iterator[Assessed]:
        """The facts and the policy's assessment of each; not masked, as :meth:`gather_facts`."""
        return assess_each(self._office, policy, household_ids, on)

    def assess(self, actor: Actor, household_id: int, on: date | None = None) -> Assessed:
        """One household under the policy in force, as the account may see it.

        Raises HouseholdUnknown, NotAllowed, PolicyUnknown.
        """
        on = on or self._office.today()
        case = read_case_within(self._office, actor, household_id, Permission.SEE_HOUSEHOLDS)
        (assessed,) = self.assess_each(self.policies.policy_for(case.county, on), [household_id], on)
        return shown(actor, assessed)

    def simulate(
        self, actor: Actor, other: LoadedPolicy, *, on: date | None = None, cost_each: int | None = None
    ) -> Simulation:
        """Who would come in and who fall out under another policy, of the present households of its county.

        Compared with the policy in force on the day. ``cost_each`` is the expected subsidy of a household and year in
        分; without it the average of the lines computed over the last year. Raises NotAllowed, PolicyUnknown.
        """
        actor.require(Permission.SEE_SENSITIVE, division=other.policy.county)
        on = on or self._office.today()
        present = self.policies.policy_for(other.policy.county, on)
        return simulating.simulate(self._office, present, other, on, cost_each)

    # Changes that a person makes

    def refine(
        self,
        actor: Actor,
        county: str,
        *,
        township: str = "",
        take_in: bool = False,
        put_out: Collection[str] = (),
        remark: str = "",
        dry_run: bool = False,
        key: str | None = None,
    ) -> Refinement:
        """Go through the matched households under the policy in force, and take over what a person chose.

        ``take_in``: all that the policy proposes to take in. ``put_out``: those proposed to be left out for no other
        reasons than these codes. What is neither stays matched. With neither, or ``dry_run``, only the proposals'
        counts come back. Raises NotAllowed, PolicyUnknown, TextNotPlain.
        """
        actor.require(Permission.REFINE, division=township or county)
        if not (township or county).startswith(county):
            raise InputError("the township is not in the county", county=county, township=township)
        today = self._office.today()
        policy = self.policies.policy_for(county, today)
        proposals = list(refining.propose(self._office, policy, today, township))
        if dry_run or not (take_in or put_out):
            return refining.count(policy, proposals)
        taken = refining.chosen(proposals, take_in, put_out)
        request = {
            "operation": "household.refine", "county": county, "township": township, "in": take_in,
            "out": sorted(put_out), "remark": remark,
        }  # fmt: skip

        def do() -> dict[str, object]:
            return {
                "outcomes": [asdict(one) for one in refining.apply_within(self._office, actor, taken, policy, remark)]
            }

        done = self._idempotency.run(actor, key, request, do)
        return refining.count(policy, proposals, [Outcome(**one) for one in done["outcomes"]])

    def refine_many(
        self,
        actor: Actor,
        household_ids: Sequence[int],
        wanted: Wanted,
        *,
        reasons: Sequence[str] = (),
        remark: str = "",
        key: str | None = None,
    ) -> Sequence[Outcome]:
        """Named households in or out, as a person decides whatever the policy proposes; for each what became of it.

        Leaving out needs a reason. Raises NotAllowed.
        """
        actor.require(Permission.REFINE)

        def move(household_id: int) -> int:
            return refining.refine_within(self._office, actor, household_id, wanted, reasons, remark, "")

        request = {
            "operation": "household.refine_many", "ids": list(household_ids), "wanted": wanted,
            "reasons": list(reasons), "remark": remark,
        }  # fmt: skip
        return self._idempotency.run_each(actor, key, request, household_ids, move)

    def supplement_many(
        self,
        actor: Actor,
        household_ids: Sequence[int],
        *,
        remark: str,
        reasons: Sequence[str] = (),
        key: str | None = None,
    ) -> Sequence[Outcome]:
        """The county takes households in past their label or its own refinement; ``remark`` says why, in plain words.

        For each what became of it. Raises NotAllowed, TextNotPlain.
        """
        actor.require(Permission.SUPPLEMENT)
        remark = require_plain(remark, "remark")

        def move(household_id: int) -> int:
            return supplementing.supplement_within(self._office, actor, household_id, reasons, remark)

        request = {
            "operation": "household.supplement", "ids": list(household_ids), "reasons": list(reasons),
            "remark": remark,
        }  # fmt: skip
        return self._idempotency.run_each(actor, key, request, household_ids, move)

    def put_on_visit_list(
        self, actor: Actor, area: str, household_ids: Sequence[int] | None = None, *, key: str | None = None
    ) -> Sequence[Outcome]:
        """Whoever was refined in or supplemented becomes 待入户调查: all of a county or township, or those named.

        For each what became of it. Raises NotAllowed.
        """
        actor.require(Permission.REFINE, division=area)
        chosen = refining.ready_for_visit(self._office, area) if household_ids is None else household_ids

        def move(household_id: int) -> int:
            return refining.put_on_visit_list_within(self._office, actor, household_id)

        request = {
            "operation": "household.visit_list", "area": area,
            "ids": None if household_ids is None else list(household_ids),
        }  # fmt: skip
        return self._idempotency.run_each(actor, key, request, chosen, move)

    def add_member(
        self,
        actor: Actor,
        household_id: int,
        number: str,
        name: str,
        *,
        relation: str = "",
        remark: str,
        key: str | None = None,
    ) -> int:
        """A member that no match found; returns the member's number. One that is known already is completed.

        Raises HouseholdUnknown, NotAllowed, NumberInvalid, TextNotPlain.
        """

        def do() -> dict[str, object]:
            return {
                "member": supplementing.add_member_within(
                    self._office, actor, household_id, number, name, relation, remark
                )
            }

        request = {
            "operation": "household.add_member", "household": household_id, "number": number, "name": name,
            "relation": relation, "remark": remark,
        }  # fmt: skip
        return int(self._idempotency.run(actor, key, request, do)["member"])

    def remove_member(self, actor: Actor, member_id: int, remark: str, *, key: str | None = None) -> None:
        """Somebody is no member any more. Raises MemberUnknown, NotAllowed, TextNotPlain."""

        def do() -> dict[str, object]:
            supplementing.remove_member_within(self._office, actor, member_id, remark)
            return {}

        request = {"operation": "household.remove_member", "member": member_id, "remark": remark}
        self._idempotency.run(actor, key, request, do)

    def settle(
        self,
        actor: Actor,
        conflict_id: int,
        remark: str,
        *,
        name: int | None = None,
        leaves: bool = False,
        key: str | None = None,
    ) -> None:
        """A person says why a conflict is none any more.

        ``name``: for two_names_for_one_number, the place (0, 1, ...) in ``Conflict.names`` of the one that is right.
        ``leaves``: for person_in_two_households, that the person is no member of this one.
        Raises ConflictUnknown, SettlementInvalid, NotAllowed, TextNotPlain.
        """

        def do() -> dict[str, object]:
            supplementing.settle_within(self._office, actor, conflict_id, remark, name, leaves)
            return {}

        request = {
            "operation": "household.settle",
            "conflict": conflict_id,
            "remark": remark,
            "name": name,
            "leaves": leaves,
        }
        self._idempotency.run(actor, key, request, do)

    # For other parts, in their transactions

    def move_within(
        self,
        actor: Actor,
        household_id: int,
        wanted: str,
        *,
        reasons: Sequence[str] = (),
        remark: str = "",
        purpose: str = "",
    ) -> int:
        """Take a household to another state, in the caller's transaction; returns the audit row's number.

        The caller has checked that ``actor`` may. ``remark`` holds no personal data.
        Raises HouseholdUnknown, MoveInvalid, InputError for a reason that is none.
        """
        return move_within(self._office, actor, household_id, wanted, reasons=reasons, remark=remark, purpose=purpose)

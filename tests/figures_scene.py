"""Rows as the other parts of the bureau write them, with days of one's choosing: what figures and reports count."""

from __future__ import annotations

from bureau_office import BANK_NO, CHECKER, HANDLER, MANAGER
from handed_over import COUNTY

from matcher.bureau.actors import SYSTEM
from matcher.bureau.office import Office
from matcher.policy import list_examples, load_policy

POLICY = next(load_policy(path) for path in list_examples() if path.name.startswith(COUNTY))


class Scene:
    """Puts single rows into an office. Days are ISO text; times are at noon in China.

    The gates that keep such rows out (no listing without two persons and so on) are taken down in this one database:
    their own parts' tests are about them, and what counts here is what is counted.
    """

    def __init__(self, office: Office, county: str = COUNTY) -> None:
        self.office = office
        with office.writing() as database:
            gates = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                " AND tbl_name IN ('listing', 'decision', 'claim_step')"
            ).fetchall()
            for (gate,) in gates:
                database.execute(f"DROP TRIGGER {gate}")
        path = next(path for path in list_examples() if path.name.startswith(county))
        self.policy = load_policy(path)
        policy = self.policy.policy
        self._insert(
            "policy",
            sha256=self.policy.sha256,
            county=policy.county,
            version=policy.version,
            valid_from=policy.valid_from.isoformat(),
            valid_to=policy.valid_to.isoformat(),
            content=path.read_bytes(),
            state="adopted",
            proposed_by=HANDLER.name,
            proposed_at="2023-06-01T01:00:00Z",
            adopted_by=CHECKER.name,
            adopted_at="2023-06-02T01:00:00Z",
        )

    def _insert(self, table: str, **values: object) -> int:
        with self.office.writing() as database:
            database.conn.execute(
                f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",  # noqa: S608
                list(values.values()),
            )
            return int(database.conn.execute("SELECT last_insert_rowid()").fetchone()[0])

    def move(self, household: int, to_state: str, day: str) -> int:
        with self.office.writing():
            seq = self.office.record_within(SYSTEM, "test.move", f"household/{household}")
        return self._insert(
            "household_move",
            household_id=household,
            from_state="",
            to_state=to_state,
            at=noon(day),
            account=HANDLER.name,
            reasons="",
            remark="",
            audit_seq=seq,
        )

    def visit(self, household: int, day: str, *states: str, manager: str = MANAGER.name, **more: object) -> int:
        """A visit that went through ``states`` on ``day``, the last of them ACCEPTED or FAILED, so that it is over."""
        visit = self._insert(
            "visit",
            household_id=household,
            kind="first",
            state="PLANNED",
            planned_for=day,
            manager=manager,
            collector=manager,
            created_at=noon(day),
            updated_at=noon(day),
            **more,
        )
        for state in states:
            self.move_visit(visit, state, day)
        return visit

    def move_visit(self, visit: int, state: str, day: str) -> None:
        with self.office.writing() as database:
            seq = self.office.record_within(SYSTEM, "test.visit", f"visit/{visit}")
            (before,) = database.execute("SELECT state FROM visit WHERE visit_id = ?", [visit]).fetchone()
            database.execute("UPDATE visit SET state = ? WHERE visit_id = ?", [state, visit])
            if state == "STARTED":
                database.execute("UPDATE visit SET started_at = ? WHERE visit_id = ?", [noon(day), visit])
            if state == "SUBMITTED":
                database.execute(
                    "UPDATE visit SET submitted_at = ?, outcome = 'done' WHERE visit_id = ?", [noon(day), visit]
                )
            if state == "FAILED":
                database.execute("UPDATE visit SET outcome = 'absent' WHERE visit_id = ?", [visit])
            if state == "ACCEPTED":
                database.execute(
                    "UPDATE visit SET decided_by = ?, decided_at = ? WHERE visit_id = ?",
                    [CHECKER.name, noon(day), visit],
                )
            database.conn.execute(
                "INSERT INTO visit_move (visit_id, attempt, from_state, to_state, at, account, remark, audit_seq)"
                " SELECT ?1, 1, ?2, ?3, ?4, manager, '', ?5 FROM visit WHERE visit_id = ?1",
                (visit, before, state, noon(day), seq),
            )

    def file(self, household: int, day: str, income: int | None = None, accepted_on: str = "", **more: object) -> int:
        """A visit whose form was accepted; with ``income`` in 分, the form says so."""
        visit = self.visit(household, day, "ASSIGNED", "STARTED", **more)
        if income is not None:
            key = f"{visit}-{day}"
            values = {"income": {"total": f"{income // 100}.{income % 100:02d}"}}
            self._insert(
                "form",
                visit_id=visit,
                schema_version="mingce-visit-form/1",
                sealed=self.office.personal.seal(values, "form", "sealed", key),
                digest=self.office.digest(values),
                device_key=key,
                saved_by="",
                saved_at=noon(day),
            )
        for state in ("COLLECTED", "SUBMITTED"):
            self.move_visit(visit, state, day)
        self.move_visit(visit, "ACCEPTED", accepted_on or day)
        return visit

    def listing(self, household: int, start: str, end: str | None = None, ended_as: str | None = None) -> int:
        decision = self._insert(
            "decision",
            household_id=household,
            round=1,
            verdict="approve",
            state="proposed",
            reasons="",
            policy=self.policy.sha256,
            checks="{}",
            sealed=b"",
            digest="",
            proposed_by=HANDLER.name,
            proposed_at=noon(start),
        )
        return self._insert(
            "listing",
            household_id=household,
            decision_id=decision,
            policy=self.policy.sha256,
            effective_from=start,
            effective_to=end,
            ended_as=ended_as,
        )

    def facility(
        self, household: int, day: str, amount: int, *, bank: str = BANK_NO, manager: str = MANAGER.name
    ) -> int:
        number = f"SX{household}-{day}-{bank[:4]}"
        return self._insert(
            "facility",
            household_id=household,
            bank=bank,
            facility_no=number,
            amount=amount,
            agreed_on=day,
            ends_on="2099-12-31",
            manager=manager,
            created_at=noon(day),
        )

    def loan(self, household: int, day: str, drawn: int, *, product: str = "jingying", **more: object) -> int:
        """A contract with all of it drawn on the same day, at 4.35 % before the concession."""
        (borrower,) = self.office.database.execute(
            "SELECT MIN(member_id) FROM member WHERE household_id = ?", [household]
        ).fetchone()
        loan = self._insert(
            "loan",
            **{
                "household_id": household,
                "borrower": borrower,
                "bank": BANK_NO,
                "contract_no": f"HT{household}-{day}-{product}",
                "product": product,
                "state": "APPLIED",
                "subsidy_state": "ELIGIBLE",
                "applied_on": day,
                "signed_on": day,
                "starts_on": day,
                "ends_on": f"{int(day[:4]) + 1}{day[4:]}",
                "principal": drawn,
                "contract_rate": "4.35",
                "customer_rate": "3.8",
                "policy": self.policy.sha256,
                "manager": MANAGER.name,
                "changed_at": noon(day),
                "created_at": noon(day),
                **more,
            },
        )
        self.movement(loan, "drawdown", day, drawn)
        return loan

    def movement(self, loan: int, kind: str, day: str, amount: int) -> int:
        return self._insert(
            "movement",
            loan_id=loan,
            reference=f"{kind} {day} {amount}",
            kind=kind,
            on_day=day,
            amount=amount,
            entered_at=noon(day),
        )

    def overdue(self, loan: int, start: str, end: str | None = None) -> int:
        return self._insert(
            "loan_span",
            loan_id=loan,
            kind="overdue",
            from_day=start,
            to_day=end,
            reason="",
            remark="",
            entered_by="",
            entered_at=noon(start),
        )

    def claim(self, year: int) -> int:
        return self._insert(
            "claim",
            bank=BANK_NO,
            county=COUNTY,
            year=year,
            state="ACCRUING",
            created_by="",
            created_at=noon(f"{year}-12-31"),
            updated_at=noon(f"{year}-12-31"),
        )

    def claim_step(self, claim: int, to_state: str, day: str) -> int:
        with self.office.writing():
            seq = self.office.record_within(SYSTEM, "test.claim", f"claim/{claim}")
        return self._insert(
            "claim_step",
            claim_id=claim,
            from_state="",
            to_state=to_state,
            account=to_state,
            remark="",
            at=noon(day),
            audit_seq=seq,
        )

    def line(
        self,
        loan: int,
        start: str,
        end: str,
        settled_on: str,
        *,
        gross: int = 0,
        customer: int = 0,
        fiscal: int = 0,
        claim: int | None = None,
        **more: object,
    ) -> int:
        """Half of the fiscal share is the province's, rounded up."""
        excess, province = gross - customer, fiscal - fiscal // 2
        values = {
            "loan_id": loan,
            "kind": "regular",
            "period_start": start,
            "period_end": end,
            "settled_on": settled_on,
            "claim_year": int(settled_on[:4]),
            "balance_days": 0,
            "pieces": "[]",
            "terms": "{}",
            "policy": self.policy.sha256,
            "gross": gross,
            "customer": customer,
            "excess": excess,
            "fiscal": fiscal,
            "bank": excess - fiscal,
            "province": province,
            "local": fiscal - province,
            "claimable": 1,
            "computed_at": noon(settled_on),
        }
        line = self._insert("interest_line", **{**values, **more})
        if claim is not None:
            with self.office.writing() as database:
                database.execute("UPDATE interest_line SET claim_id = ? WHERE line_id = ?", [claim, line])
        return line


def noon(day: str) -> str:
    return f"{day}T04:00:00Z"

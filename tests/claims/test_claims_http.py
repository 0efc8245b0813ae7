"""A claim over real HTTP: each step by its people, and everybody else refused."""

from __future__ import annotations

from datetime import date

import pytest
from bureau_office import AUDITOR, BANK_NO, CHECKER, HANDLER, OTHER_BANK_ADMIN, OTHER_CHECKER, PROVINCE, TOWNSHIP
from bureau_server import running_bureau
from claim_desk import BANK_CHECKER, BANK_CLERK, YUAN, Desk

START, END = date(2024, 3, 21), date(2025, 3, 21)


@pytest.fixture
def with_loan(desk: Desk) -> Desk:
    loan = desk.lender.add_loan(desk.lender.add_household(), START, END, [("drawdown", START, 100_000 * YUAN)])
    for due in (date(2024, 6, 20), date(2024, 9, 20), date(2024, 12, 20)):
        desk.claims.accrue(date(2025, 12, 31))
        desk.pay_all(loan, due)
    return desk


def test_a_claim_from_opening_to_closing(with_loan: Desk) -> None:
    with running_bureau(with_loan.office) as bureau:
        opened = bureau.post(BANK_CLERK, "/v1/claims", {"bank": BANK_NO, "county": "330922", "year": 2024})
        assert opened.status_code == 201, opened.text
        claim = f"/v1/claims/{opened.json()['claim']}"
        early = bureau.post(BANK_CHECKER, f"{claim}/steps/check", {})
        assert (early.status_code, early.json()["code"]) == (409, "move_invalid")
        frozen = bureau.post(BANK_CLERK, f"{claim}/freeze", key="f")
        assert bureau.post(BANK_CLERK, f"{claim}/freeze", key="f").json() == frozen.json()
        assert (frozen.json()["state"], frozen.json()["lines"]) == ("CALCULATED", 3)

        waits = bureau.post(BANK_CHECKER, f"{claim}/steps/check", {})
        assert (waits.status_code, waits.json()["code"]) == (409, "claim_not_ready")
        page = bureau.get(BANK_CLERK, claim, size=2).json()
        assert (len(page["lines"]), page["next"]) == (2, 2)
        rows = [
            f"{line['contract_no']},{line['period_start']},"
            + ",".join(f"{line['amounts'][name] / 100:.2f}" for name in ("gross", "customer", "fiscal", "bank"))
            for line in bureau.get(BANK_CLERK, claim).json()["lines"]
        ]
        csv = "\n".join(["合同编号,起息日,应计利息,客户承担,财政贴息,银行让利", *rows[:-1]])
        compared = bureau.send(
            BANK_CLERK, "POST", f"{claim}/figures", content=csv.encode(),
            headers={"Content-Type": "text/csv", "Idempotency-Key": '"figures"'},
        )  # fmt: skip
        (difference,) = compared.json()["differences"]
        assert difference["kind"] == "missing_theirs"
        (exception,) = bureau.get(BANK_CLERK, claim).json()["exceptions"]
        settled = bureau.post(
            BANK_CLERK, f"/v1/claim-exceptions/{exception['exception_id']}/settle", {"why": "银行次月入账"}
        )
        assert settled.status_code == 200

        assert bureau.post(BANK_CLERK, f"{claim}/steps/check", {}).json()["code"] == "same_person"
        assert bureau.post(BANK_CHECKER, f"{claim}/steps/check", {}).json()["state"] == "BANK_CHECKED"
        (line,) = bureau.post(AUDITOR, f"{claim}/sample", {"size": 1}).json()["lines"]
        told = bureau.get(AUDITOR, f"/v1/interest-lines/{line}").json()
        assert [step["name"] for step in told["steps"]][:3] == ["gross", "customer", "excess"]
        assert bureau.post(AUDITOR, f"{claim}/findings", {"line": line, "finding": "ok"}).status_code == 200
        for actor, step in [
            (AUDITOR, "audit"), (BANK_CLERK, "submit"), (HANDLER, "take-up"), (CHECKER, "approve"),
            (HANDLER, "pass-on"), (PROVINCE, "grant"), (OTHER_CHECKER, "pay"), (CHECKER, "close"),
        ]:  # fmt: skip
            done = bureau.post(actor, f"{claim}/steps/{step}", {"remark": ""})
            assert done.status_code == 200, done.text
        assert bureau.get(AUDITOR, f"{claim}/verification").json()["digest"] == frozen.json()["digest"]
        assert [found["state"] for found in bureau.get(HANDLER, "/v1/claims").json()["claims"]] == ["CLOSED"]


def test_who_may_not(with_loan: Desk) -> None:
    claim = with_loan.claims.open(BANK_CLERK, BANK_NO, "330922", 2024)
    with running_bureau(with_loan.office) as bureau:
        assert bureau.get(TOWNSHIP, "/v1/claims").status_code == 403
        assert bureau.get(OTHER_BANK_ADMIN, "/v1/claims").json() == {"claims": []}
        assert bureau.get(OTHER_BANK_ADMIN, f"/v1/claims/{claim}").status_code == 404
        assert bureau.get(OTHER_BANK_ADMIN, "/v1/interest-lines/1").status_code == 404
        assert bureau.post(HANDLER, f"/v1/claims/{claim}/freeze").status_code == 403
        assert bureau.get(HANDLER, "/v1/claims/99").json()["code"] == "claim_unknown"
        assert bureau.get(HANDLER, "/v1/interest-lines/99").status_code == 404
        assert bureau.post(HANDLER, f"/v1/claims/{claim}/steps/fly", {}).status_code == 422

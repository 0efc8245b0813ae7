"""Facilities, contracts and what moved on them. Amounts in 分, rates as decimal text in percent a year.

Only matcher.loans writes these tables (docs/reference/loans.md).
"""

from __future__ import annotations

from matcher.states import LOAN, SUBSIDY

TABLES = (
    """
    CREATE TABLE commitment (
        commitment_id    INTEGER PRIMARY KEY,
        bank             TEXT NOT NULL REFERENCES bank (fingerprint),
        commitment_no    TEXT NOT NULL,  -- 身份承诺书编号
        household_id     INTEGER NOT NULL REFERENCES household (household_id),
        signer           INTEGER NOT NULL REFERENCES member (member_id),
        template_version TEXT NOT NULL,
        text_sha256      TEXT NOT NULL,  -- of the template: the filled-in text would give the ID number away
        contract_no      TEXT NOT NULL,
        signed_on        TEXT NOT NULL,
        way              TEXT NOT NULL CHECK (way IN ('paper', 'device')),
        witness          TEXT NOT NULL,
        attachment_id    INTEGER REFERENCES attachment (attachment_id),
        entered_by       TEXT NOT NULL,
        entered_at       TEXT NOT NULL,
        UNIQUE (bank, commitment_no)
    ) STRICT
    """,
    "CREATE INDEX commitment_by_contract ON commitment (bank, contract_no)",
    """
    CREATE TABLE facility (
        facility_id  INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        bank         TEXT NOT NULL REFERENCES bank (fingerprint),
        facility_no  TEXT NOT NULL,
        amount       INTEGER NOT NULL CHECK (amount > 0),
        agreed_on    TEXT NOT NULL,
        ends_on      TEXT NOT NULL,
        manager      TEXT NOT NULL DEFAULT '',  -- whose customer: for the staff figures
        created_at   TEXT NOT NULL,
        UNIQUE (bank, facility_no)
    ) STRICT
    """,
    """
    CREATE TABLE loan (
        loan_id       INTEGER PRIMARY KEY,
        household_id  INTEGER NOT NULL REFERENCES household (household_id),
        borrower      INTEGER NOT NULL REFERENCES member (member_id),
        bank          TEXT NOT NULL REFERENCES bank (fingerprint),
        contract_no   TEXT NOT NULL,
        facility_id   INTEGER REFERENCES facility (facility_id),
        commitment_id INTEGER REFERENCES commitment (commitment_id),
        listing_id    INTEGER REFERENCES listing (listing_id),  -- by which the household was on the list
        product       TEXT NOT NULL,
        purpose       TEXT NOT NULL DEFAULT '',
        state         TEXT NOT NULL,
        subsidy_state TEXT NOT NULL,
        applied_on    TEXT NOT NULL,
        signed_on     TEXT,              -- of the contract: whose policy counts
        starts_on     TEXT,
        ends_on       TEXT,              -- the first day that bears no interest; an extension moves it
        ended_on      TEXT,              -- settled or written off
        principal     INTEGER NOT NULL CHECK (principal > 0),  -- of the contract
        contract_rate TEXT NOT NULL,     -- before any concession
        customer_rate TEXT NOT NULL,     -- what the customer pays
        policy        TEXT REFERENCES policy (sha256),  -- of the contract's signing, for its whole life
        manager       TEXT NOT NULL DEFAULT '',
        changed_at    TEXT NOT NULL,     -- when interest last had to be computed again
        revision      INTEGER NOT NULL DEFAULT 1,  -- rises each time: a second may see two changes
        created_at    TEXT NOT NULL,
        UNIQUE (bank, contract_no)
    ) STRICT
    """,
    "CREATE INDEX loan_by_household ON loan (household_id)",
    LOAN.trigger("loan"),
    SUBSIDY.trigger("loan", "subsidy_state"),
    # The last gate: whatever wrote the statement, nothing is lent under the programme without the two.
    """
    CREATE TRIGGER loan_active BEFORE UPDATE OF state ON loan
    WHEN NEW.state = 'ACTIVE' AND OLD.state = 'CONTRACTED' AND NOT EXISTS (
        SELECT 1 FROM listing JOIN commitment ON commitment.commitment_id = NEW.commitment_id
        WHERE listing.listing_id = NEW.listing_id AND listing.household_id = NEW.household_id
        AND listing.effective_from <= NEW.starts_on
        AND (listing.effective_to IS NULL OR NEW.starts_on < listing.effective_to)
        AND commitment.bank = NEW.bank AND commitment.contract_no = NEW.contract_no
        AND commitment.signed_on <= NEW.starts_on)
    BEGIN SELECT RAISE(ABORT, 'loan: nothing is lent without final list and commitment'); END;
    """,
    """
    CREATE TRIGGER loan_policy_kept BEFORE UPDATE OF policy ON loan
    WHEN OLD.policy IS NOT NULL AND NEW.policy IS NOT OLD.policy
    BEGIN SELECT RAISE(ABORT, 'loan: a contract keeps the policy of its signing'); END;
    """,
    """
    CREATE TABLE loan_file (
        file_id       INTEGER PRIMARY KEY,
        sha256        TEXT NOT NULL UNIQUE,  -- of the file: the same content is imported once
        bank          TEXT NOT NULL REFERENCES bank (fingerprint),
        business_date TEXT NOT NULL,         -- the latest day in it
        rows          INTEGER NOT NULL,
        accepted      INTEGER NOT NULL,      -- entered by this file, or known already; the others are rejected
        imported_by   TEXT NOT NULL,
        imported_at   TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE loan_file_reject (
        file_id     INTEGER NOT NULL REFERENCES loan_file (file_id),
        sheet       TEXT NOT NULL,     -- '' for CSV
        row         INTEGER NOT NULL,  -- the header is row 1
        reason      TEXT NOT NULL,     -- an error code, or one of matcher.rejects.ROW_REASONS
        column_name TEXT NOT NULL,
        masked_item TEXT NOT NULL,
        params      TEXT NOT NULL,     -- JSON: what the reason's sentence needs; no personal data
        PRIMARY KEY (file_id, sheet, row)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE movement (
        movement_id INTEGER PRIMARY KEY,
        loan_id     INTEGER NOT NULL REFERENCES loan (loan_id),
        reference   TEXT NOT NULL,     -- the bank's own number of the entry
        kind        TEXT NOT NULL CHECK (kind IN ('drawdown', 'repayment', 'interest')),
        on_day      TEXT NOT NULL,
        amount      INTEGER NOT NULL CHECK (amount > 0),
        file_id     INTEGER REFERENCES loan_file (file_id),
        entered_at  TEXT NOT NULL,
        UNIQUE (loan_id, reference)
    ) STRICT
    """,
    """
    CREATE TRIGGER movement_kept BEFORE UPDATE ON movement
    BEGIN SELECT RAISE(ABORT, 'movement: never changed, only reversed'); END;
    """,
    # 冲正: an entry that the bank took back. It leaves movement, so that every reader sees what stands.
    """
    CREATE TABLE reversed_movement (
        movement_id INTEGER PRIMARY KEY,
        loan_id     INTEGER NOT NULL REFERENCES loan (loan_id),
        reference   TEXT NOT NULL,
        kind        TEXT NOT NULL,
        on_day      TEXT NOT NULL,
        amount      INTEGER NOT NULL,
        file_id     INTEGER REFERENCES loan_file (file_id),
        entered_at  TEXT NOT NULL,
        reversed_by TEXT NOT NULL,     -- the bank's number of the reversal
        reversed_on TEXT NOT NULL,
        reversed_at TEXT NOT NULL,
        UNIQUE (loan_id, reversed_by)
    ) STRICT
    """,
    """
    CREATE TABLE loan_span (
        span_id    INTEGER PRIMARY KEY,
        loan_id    INTEGER NOT NULL REFERENCES loan (loan_id),
        kind       TEXT NOT NULL CHECK (kind IN ('overdue', 'extension', 'suspension', 'stop')),  -- bears no subsidy
        from_day   TEXT NOT NULL,
        to_day     TEXT CHECK (to_day > from_day),  -- not included; open while null
        reason     TEXT NOT NULL,      -- a reason code or ''
        remark     TEXT NOT NULL,
        entered_by TEXT NOT NULL,
        entered_at TEXT NOT NULL,
        UNIQUE (loan_id, kind, from_day)
    ) STRICT
    """,
)

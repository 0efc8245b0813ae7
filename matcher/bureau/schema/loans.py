"""Facilities, contracts and what moved on them. Amounts in 分, rates as decimal text in percent a year."""

from __future__ import annotations

from matcher.states import LOAN, SUBSIDY

TABLES = (
    """
    CREATE TABLE commitment (
        commitment_id    INTEGER PRIMARY KEY,
        commitment_no    TEXT NOT NULL UNIQUE,  -- 身份承诺书编号
        household_id     INTEGER NOT NULL REFERENCES household (household_id),
        signer           INTEGER NOT NULL REFERENCES member (member_id),
        template_version TEXT NOT NULL,
        text_sha256      TEXT NOT NULL,
        contract_no      TEXT NOT NULL,
        signed_on        TEXT NOT NULL,
        way              TEXT NOT NULL CHECK (way IN ('paper', 'device')),
        witness          TEXT NOT NULL,
        attachment_id    INTEGER REFERENCES attachment (attachment_id),
        entered_by       TEXT NOT NULL,
        entered_at       TEXT NOT NULL
    ) STRICT
    """,
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
        ends_on       TEXT,              -- the first day that bears no interest
        principal     INTEGER NOT NULL CHECK (principal > 0),  -- of the contract
        contract_rate TEXT NOT NULL,     -- before any concession
        customer_rate TEXT NOT NULL,     -- what the customer pays
        policy        TEXT REFERENCES policy (sha256),  -- of the contract's signing, for its whole life
        manager       TEXT NOT NULL DEFAULT '',
        changed_at    TEXT NOT NULL,     -- rises whenever interest has to be computed again
        created_at    TEXT NOT NULL,
        UNIQUE (bank, contract_no)
    ) STRICT
    """,
    "CREATE INDEX loan_by_household ON loan (household_id)",
    LOAN.trigger("loan"),
    SUBSIDY.trigger("loan", "subsidy_state"),
    """
    CREATE TABLE loan_file (
        file_id       INTEGER PRIMARY KEY,
        sha256        TEXT NOT NULL UNIQUE,  -- of the file: the same content is imported once
        bank          TEXT NOT NULL REFERENCES bank (fingerprint),
        business_date TEXT NOT NULL,
        rows          INTEGER NOT NULL,
        accepted      INTEGER NOT NULL,
        imported_by   TEXT NOT NULL,
        imported_at   TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE loan_file_reject (
        file_id     INTEGER NOT NULL REFERENCES loan_file (file_id),
        row         INTEGER NOT NULL,
        reason      TEXT NOT NULL,
        column_name TEXT NOT NULL,
        masked_item TEXT NOT NULL,
        PRIMARY KEY (file_id, row)
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
    CREATE TABLE loan_span (
        span_id    INTEGER PRIMARY KEY,
        loan_id    INTEGER NOT NULL REFERENCES loan (loan_id),
        kind       TEXT NOT NULL CHECK (kind IN ('overdue', 'extension', 'suspension', 'stop')),  -- bears no subsidy
        from_day   TEXT NOT NULL,
        to_day     TEXT,               -- not included; open while null
        reason     TEXT NOT NULL,      -- a reason code or ''
        remark     TEXT NOT NULL,
        entered_by TEXT NOT NULL,
        entered_at TEXT NOT NULL,
        UNIQUE (loan_id, kind, from_day)
    ) STRICT
    """,
)

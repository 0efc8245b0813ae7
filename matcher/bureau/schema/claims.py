"""Interest lines as computed, as claimed, and a claim's way through the offices. Amounts in 分."""

from __future__ import annotations

from matcher.states import CLAIM

TABLES = (
    """
    CREATE TABLE claim (
        claim_id    INTEGER PRIMARY KEY,
        bank        TEXT NOT NULL REFERENCES bank (fingerprint),
        county      TEXT NOT NULL,
        year        INTEGER NOT NULL,
        state       TEXT NOT NULL,
        digest      TEXT,              -- of all its lines, from CALCULATED on
        seed        TEXT,              -- of the audit sample
        created_by  TEXT NOT NULL,
        created_at  TEXT NOT NULL,
        updated_at  TEXT NOT NULL,
        UNIQUE (bank, county, year)
    ) STRICT
    """,
    CLAIM.trigger("claim"),
    """
    CREATE TABLE interest_line (
        line_id       INTEGER PRIMARY KEY,
        loan_id       INTEGER NOT NULL REFERENCES loan (loan_id),
        claim_id      INTEGER REFERENCES claim (claim_id),  -- null: accruing, replaced when its inputs change
        kind          TEXT NOT NULL CHECK (kind IN ('regular', 'adjustment')),
        adjusts       INTEGER REFERENCES interest_line (line_id),
        period_start  TEXT NOT NULL,
        period_end    TEXT NOT NULL,     -- not included
        settled_on    TEXT NOT NULL,
        claim_year    INTEGER NOT NULL,
        balance_days  INTEGER NOT NULL,  -- 分 x days that bear subsidy
        terms         TEXT NOT NULL,     -- JSON: rates, shares, day basis
        policy        TEXT NOT NULL REFERENCES policy (sha256),
        gross         INTEGER NOT NULL,
        customer      INTEGER NOT NULL,
        excess        INTEGER NOT NULL CHECK (excess = gross - customer),
        fiscal        INTEGER NOT NULL,
        bank          INTEGER NOT NULL CHECK (bank = excess - fiscal),
        province      INTEGER NOT NULL,
        local         INTEGER NOT NULL CHECK (local = fiscal - province),
        interest_paid INTEGER NOT NULL DEFAULT 0,  -- what the customer has paid for this period
        reason        TEXT NOT NULL DEFAULT '',
        computed_at   TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX line_by_loan ON interest_line (loan_id, settled_on)",
    "CREATE INDEX line_by_claim ON interest_line (claim_id)",
    "CREATE UNIQUE INDEX one_regular_line ON interest_line (loan_id, period_start) WHERE kind = 'regular'",
    """
    CREATE TRIGGER line_frozen BEFORE UPDATE ON interest_line
    WHEN OLD.claim_id IS NOT NULL AND (SELECT state FROM claim WHERE claim_id = OLD.claim_id) <> 'ACCRUING'
    BEGIN SELECT RAISE(ABORT, 'interest_line: frozen by a claim'); END;
    """,
    """
    CREATE TRIGGER line_kept BEFORE DELETE ON interest_line
    WHEN OLD.claim_id IS NOT NULL AND (SELECT state FROM claim WHERE claim_id = OLD.claim_id) <> 'ACCRUING'
    BEGIN SELECT RAISE(ABORT, 'interest_line: frozen by a claim'); END;
    """,
    """
    CREATE TABLE claim_step (
        step_id    INTEGER PRIMARY KEY,
        claim_id   INTEGER NOT NULL REFERENCES claim (claim_id),
        from_state TEXT NOT NULL,
        to_state   TEXT NOT NULL,
        account    TEXT NOT NULL,
        remark     TEXT NOT NULL,
        at         TEXT NOT NULL,
        audit_seq  INTEGER NOT NULL REFERENCES audit (seq)
    ) STRICT
    """,
    """
    CREATE TABLE claim_exception (
        exception_id INTEGER PRIMARY KEY,
        claim_id     INTEGER NOT NULL REFERENCES claim (claim_id),
        line_id      INTEGER REFERENCES interest_line (line_id),
        loan_id      INTEGER REFERENCES loan (loan_id),
        kind         TEXT NOT NULL,
        detail       TEXT NOT NULL,
        settled_by   TEXT,
        settlement   TEXT,
        settled_at   TEXT
    ) STRICT
    """,
    """
    CREATE TABLE audit_sample (
        claim_id   INTEGER NOT NULL REFERENCES claim (claim_id),
        line_id    INTEGER NOT NULL REFERENCES interest_line (line_id),
        finding    TEXT,               -- null until the auditor has looked
        checked_by TEXT,
        checked_at TEXT,
        PRIMARY KEY (claim_id, line_id)
    ) STRICT, WITHOUT ROWID
    """,
)

"""Interest lines as computed, as claimed, and a claim's way through the offices. Amounts in 分."""

from __future__ import annotations

from matcher.states import CLAIM

# Where money is decided a second person is needed: who took a step may not have taken any of the others in any
# round of the same claim (docs/reference/claims.md).
OTHER_PERSON = {
    "BANK_CHECKED": ("CALCULATED",),
    "AUDITED": ("CALCULATED", "BANK_CHECKED"),
    "COUNTY_REVIEW": ("SUBMITTED",),
    "COUNTY_APPROVED": ("SUBMITTED", "COUNTY_REVIEW"),
    "APPROVED": ("COUNTY_REVIEW", "COUNTY_APPROVED", "PROVINCE_REVIEW"),
    "PAID": ("APPROVED",),
}


def _two_persons() -> str:
    pairs = ", ".join(f"('{step}', '{other}')" for step, others in OTHER_PERSON.items() for other in others)
    return f"""
    CREATE TRIGGER claim_two_persons BEFORE INSERT ON claim_step
    WHEN EXISTS (
        SELECT 1 FROM claim_step earlier WHERE earlier.claim_id = NEW.claim_id AND earlier.account = NEW.account
        AND (NEW.to_state, earlier.to_state) IN (VALUES {pairs}))
    BEGIN SELECT RAISE(ABORT, 'claim: a second person has to do this'); END;
    """  # noqa: S608  our own words


SUMS = (
    # A claim's totals are read from these alone; a line joins a claim once and then never changes.
    "CREATE INDEX line_claimed ON interest_line"
    " (claim_id, gross, customer, excess, fiscal, bank, province, local) WHERE claim_id IS NOT NULL",
)

TABLES = (
    """
    CREATE TABLE claim (
        claim_id    INTEGER PRIMARY KEY,
        bank        TEXT NOT NULL REFERENCES bank (fingerprint),
        county      TEXT NOT NULL,     -- six digits: of the contracts' policies
        year        INTEGER NOT NULL,
        state       TEXT NOT NULL,
        through     TEXT,              -- the day up to which interest was accrued when the claim was frozen
        digest      TEXT,              -- SHA-256 of all its lines, from CALCULATED on
        reconciled  TEXT,              -- SHA-256 of the file of the bank's own figures compared last
        seed        TEXT,              -- of the audit sample, hex
        created_by  TEXT NOT NULL,
        created_at  TEXT NOT NULL,
        updated_at  TEXT NOT NULL,
        UNIQUE (bank, county, year)
    ) STRICT
    """,
    CLAIM.trigger("claim"),
    """
    CREATE TRIGGER claim_frozen BEFORE UPDATE ON claim
    WHEN OLD.state <> 'ACCRUING' AND (OLD.bank, OLD.county, OLD.year, OLD.through, OLD.digest)
        IS NOT (NEW.bank, NEW.county, NEW.year, NEW.through, NEW.digest)
    BEGIN SELECT RAISE(ABORT, 'claim: frozen'); END;
    """,
    """
    CREATE TRIGGER claim_seed_kept BEFORE UPDATE OF seed ON claim
    WHEN OLD.seed IS NOT NULL AND OLD.seed IS NOT NEW.seed
    BEGIN SELECT RAISE(ABORT, 'claim: its sample is drawn'); END;
    """,
    """
    CREATE TABLE interest_line (
        line_id       INTEGER PRIMARY KEY,
        loan_id       INTEGER NOT NULL REFERENCES loan (loan_id),
        claim_id      INTEGER REFERENCES claim (claim_id),  -- null: accruing, replaced when its inputs change
        kind          TEXT NOT NULL CHECK (kind IN ('regular', 'adjustment')),
        adjusts       INTEGER REFERENCES interest_line (line_id),  -- the frozen line that an adjustment corrects
        period_start  TEXT NOT NULL,
        period_end    TEXT NOT NULL,     -- not included; while the period runs, the day after the last one accrued
        settled_on    TEXT NOT NULL,     -- when it falls due; of an adjustment, the day accrued when it was found
        claim_year    INTEGER NOT NULL,  -- of settled_on; of an adjustment, the first year not frozen yet
        balance_days  INTEGER NOT NULL,  -- 分 x days that bear subsidy; of an adjustment, the difference
        pieces        TEXT NOT NULL,     -- JSON [[from, to, balance, counted, why not all]]: its make
        terms         TEXT NOT NULL,     -- JSON: rates, shares, day basis
        policy        TEXT NOT NULL REFERENCES policy (sha256),
        gross         INTEGER NOT NULL,
        customer      INTEGER NOT NULL,
        excess        INTEGER NOT NULL CHECK (excess = gross - customer),
        fiscal        INTEGER NOT NULL,
        bank          INTEGER NOT NULL CHECK (bank = excess - fiscal),
        province      INTEGER NOT NULL,
        local         INTEGER NOT NULL CHECK (local = fiscal - province),
        interest_due  INTEGER NOT NULL DEFAULT 0,  -- what the customer owes for this period, on the whole balance
        interest_paid INTEGER NOT NULL DEFAULT 0,  -- what the customer has paid of it
        claimable     INTEGER NOT NULL DEFAULT 0 CHECK (claimable IN (0, 1)),  -- due and paid, and not nothing
        reason        TEXT NOT NULL DEFAULT '',    -- of an adjustment: what changed (docs/reference/claims.md)
        computed_at   TEXT NOT NULL,
        CHECK ((kind = 'adjustment') = (adjusts IS NOT NULL))
    ) STRICT
    """,
    "CREATE INDEX line_by_loan ON interest_line (loan_id, settled_on)",
    "CREATE INDEX line_by_claim ON interest_line (claim_id)",
    "CREATE UNIQUE INDEX one_regular_line ON interest_line (loan_id, period_start) WHERE kind = 'regular'",
    "CREATE UNIQUE INDEX one_open_adjustment ON interest_line (adjusts) WHERE claim_id IS NULL",
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
    CREATE TRIGGER line_joins_late BEFORE UPDATE OF claim_id ON interest_line
    WHEN NEW.claim_id IS NOT NULL AND (SELECT state FROM claim WHERE claim_id = NEW.claim_id) <> 'ACCRUING'
    BEGIN SELECT RAISE(ABORT, 'interest_line: the claim is frozen'); END;
    """,
    """
    CREATE TRIGGER line_begins_free BEFORE INSERT ON interest_line WHEN NEW.claim_id IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'interest_line: begins outside claims'); END;
    """,
    """
    CREATE TABLE accrual (
        day    TEXT PRIMARY KEY,       -- interest was computed up to the end of this day; it never goes back
        ran_at TEXT NOT NULL,          -- of its last run
        loans  INTEGER NOT NULL,
        lines  INTEGER NOT NULL,
        digest TEXT NOT NULL           -- SHA-256 of all lines: running a day again shows whether anything changed
    ) STRICT
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
    "CREATE INDEX step_by_claim ON claim_step (claim_id)",
    _two_persons(),
    """
    CREATE TRIGGER claim_step_kept BEFORE UPDATE ON claim_step
    BEGIN SELECT RAISE(ABORT, 'claim_step: never changed'); END;
    """,
    """
    CREATE TRIGGER claim_step_stays BEFORE DELETE ON claim_step
    BEGIN SELECT RAISE(ABORT, 'claim_step: never deleted'); END;
    """,
    """
    CREATE TABLE claim_exception (
        exception_id INTEGER PRIMARY KEY,
        claim_id     INTEGER NOT NULL REFERENCES claim (claim_id),
        line_id      INTEGER REFERENCES interest_line (line_id),
        loan_id      INTEGER REFERENCES loan (loan_id),
        kind         TEXT NOT NULL,   -- matcher.claims.exceptions.KINDS
        detail       TEXT NOT NULL,   -- JSON; no personal data
        settled_by   TEXT,
        settlement   TEXT,
        settled_at   TEXT
    ) STRICT
    """,
    "CREATE INDEX exception_by_claim ON claim_exception (claim_id)",
    """
    CREATE TABLE audit_sample (
        claim_id   INTEGER NOT NULL REFERENCES claim (claim_id),
        line_id    INTEGER NOT NULL REFERENCES interest_line (line_id),
        finding    TEXT,               -- 'ok' or what is wrong; null until the auditor has looked
        checked_by TEXT,
        checked_at TEXT,
        PRIMARY KEY (claim_id, line_id)
    ) STRICT, WITHOUT ROWID
    """,
)

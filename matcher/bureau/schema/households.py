"""Households and members, where they stand and how they came there."""

from __future__ import annotations

from matcher.states import HOUSEHOLD

TABLES = (
    "ALTER TABLE household ADD COLUMN township TEXT NOT NULL DEFAULT ''",  # 9 digits of the division
    "ALTER TABLE household ADD COLUMN state_since TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE household ADD COLUMN claimed_by TEXT",  # who works on it in the queue
    "ALTER TABLE household ADD COLUMN claimed_at TEXT",
    "ALTER TABLE household ADD COLUMN bank TEXT REFERENCES bank (fingerprint)",  # whose manager visits it
    "UPDATE household SET township = substr(division, 1, 9), state_since = created_at",
    HOUSEHOLD.trigger("household"),
    "CREATE INDEX household_queue ON household (state, township, state_since)",
    "CREATE INDEX household_by_state ON household (state)",  # pages of a list, in the order of their numbers
    """
    CREATE VIEW handover_household AS
    SELECT DISTINCT handover_id, household_id FROM candidate_source JOIN candidate USING (candidate_id)
    """,
    "CREATE INDEX conflict_open ON conflict (household_id) WHERE settled_at IS NULL",
    """
    CREATE TABLE member (
        member_id    INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        candidate_id INTEGER UNIQUE REFERENCES candidate (candidate_id),  -- whose match this is, if any
        item_ref     BLOB NOT NULL,   -- blind index of the ID number, as in candidate
        name_ref     BLOB NOT NULL,   -- blind index of the name
        sealed       BLOB NOT NULL,   -- JSON: item, name, relation
        is_applicant INTEGER NOT NULL DEFAULT 0 CHECK (is_applicant IN (0, 1)),
        source       TEXT NOT NULL CHECK (source IN ('match', 'form', 'county')),
        left_at      TEXT,            -- no member any more
        created_at   TEXT NOT NULL,
        updated_at   TEXT NOT NULL,
        UNIQUE (household_id, item_ref)
    ) STRICT
    """,
    "CREATE INDEX member_by_item ON member (item_ref)",
    "CREATE INDEX member_by_name ON member (name_ref)",
    "CREATE UNIQUE INDEX one_applicant ON member (household_id) WHERE is_applicant = 1",
    """
    CREATE TABLE household_move (
        move_id      INTEGER PRIMARY KEY,
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        from_state   TEXT NOT NULL,
        to_state     TEXT NOT NULL,
        at           TEXT NOT NULL,
        account      TEXT NOT NULL,
        reasons      TEXT NOT NULL,  -- codes joined by ','
        remark       TEXT NOT NULL,  -- no personal data: the form and the sealed remark of a decision hold those
        audit_seq    INTEGER NOT NULL REFERENCES audit (seq)
    ) STRICT
    """,
    "CREATE INDEX move_by_household ON household_move (household_id)",
    """
    CREATE TABLE household_link (
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        earlier_id   INTEGER NOT NULL REFERENCES household (household_id),
        shared       INTEGER NOT NULL,  -- people in both; 0: only the 家庭编号 is the same
        found_at     TEXT NOT NULL,
        PRIMARY KEY (household_id, earlier_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX link_by_earlier ON household_link (earlier_id)",
)

COUNTING = (
    # The counts over a list and the townships to choose from are read from these alone.
    "CREATE INDEX household_counted ON household (state, division, list_year, bank)",
    "CREATE INDEX household_in_township ON household (township, division)",
    "DROP INDEX household_queue",  # household_waiting answers what it did
)

MOVES = (
    # Who came to a state by a day: figures trace it from this alone.
    "CREATE INDEX move_by_state ON household_move (to_state, household_id, at)",
)

BANKS = (
    # Which banks handed a member of a household over: kept by the sources' triggers, for the lists of a bank's people.
    """
    CREATE TABLE household_bank (
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        bank         TEXT NOT NULL REFERENCES bank (fingerprint),
        PRIMARY KEY (household_id, bank)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO household_bank SELECT DISTINCT household_id, bank
    FROM candidate_source JOIN candidate USING (candidate_id) JOIN handover USING (handover_id)
    """,
    """
    CREATE TRIGGER household_bank_begins AFTER INSERT ON candidate_source
    BEGIN
        INSERT INTO household_bank SELECT household_id, bank FROM candidate, handover
        WHERE candidate_id = NEW.candidate_id AND handover_id = NEW.handover_id ON CONFLICT DO NOTHING;
    END
    """,
    """
    CREATE TRIGGER household_bank_ends AFTER DELETE ON candidate_source
    BEGIN
        DELETE FROM household_bank
        WHERE household_id = (SELECT household_id FROM candidate WHERE candidate_id = OLD.candidate_id)
        AND bank = (SELECT bank FROM handover WHERE handover_id = OLD.handover_id)
        AND NOT EXISTS (
            SELECT 1 FROM candidate JOIN candidate_source USING (candidate_id) JOIN handover USING (handover_id)
            WHERE candidate.household_id = household_bank.household_id AND handover.bank = household_bank.bank);
    END
    """,
)

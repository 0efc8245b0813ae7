"""Hand-overs: whom the bureau trusts, what banks handed over, and the candidates found."""

from __future__ import annotations

from matcher.alarms import ALARM_TABLE

FIRST_TABLES = (
    """
    CREATE TABLE bank (
        fingerprint TEXT PRIMARY KEY,  -- SHA-256 of the bank's Ed25519 key, compared with its owner beforehand
        name        TEXT NOT NULL UNIQUE,
        document    TEXT NOT NULL,     -- its identity document
        added_at    TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE epoch (
        epoch_no    INTEGER PRIMARY KEY,  -- rises in the order in which their receipt keys came: which epoch is newer
        dataset     TEXT NOT NULL,
        epoch       TEXT NOT NULL,
        list_year   INTEGER NOT NULL,     -- of the base list: in the epoch's name, else when its keys came
        UNIQUE (dataset, epoch)
    ) STRICT
    """,
    """
    CREATE TABLE receipt_key (
        epoch_no    INTEGER NOT NULL REFERENCES epoch (epoch_no),
        division    TEXT NOT NULL,  -- six digits
        sealed      BLOB NOT NULL,  -- 32 bytes
        received_at TEXT NOT NULL,
        PRIMARY KEY (epoch_no, division)
    ) STRICT
    """,
    """
    CREATE TABLE handover (
        handover_id INTEGER PRIMARY KEY,
        sha256      TEXT NOT NULL UNIQUE,  -- of the file: the same file is imported once
        bank        TEXT NOT NULL REFERENCES bank (fingerprint),
        run_id      TEXT NOT NULL,
        epoch_no    INTEGER NOT NULL REFERENCES epoch (epoch_no),
        edition     INTEGER NOT NULL,
        envelope    BLOB NOT NULL,         -- the header as the bank signed it: evidence
        rows        INTEGER NOT NULL,
        accepted    INTEGER NOT NULL,
        imported_at TEXT NOT NULL,
        operator    TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE household (
        household_id   INTEGER PRIMARY KEY,
        dataset        TEXT NOT NULL,
        household_no   TEXT NOT NULL,  -- 家庭编号
        list_year      INTEGER NOT NULL,  -- of the list that its newest label is from
        state          TEXT NOT NULL,  -- docs/reference/states.md; MATCHED when a hand-over brings it
        household_size TEXT NOT NULL,  -- 家庭人数; this and the next three from the member with the newest label
        division       TEXT NOT NULL,  -- 行政区划
        expanding      TEXT NOT NULL,  -- 是否扩中家庭, 1 or 0
        reasons        TEXT NOT NULL,  -- 非扩中原因标签
        created_at     TEXT NOT NULL,
        updated_at     TEXT NOT NULL,
        UNIQUE (dataset, household_no, list_year)  -- a case that ended may begin anew another year
    ) STRICT
    """,
    """
    CREATE TABLE candidate (
        candidate_id   INTEGER PRIMARY KEY,
        item_ref       BLOB NOT NULL,  -- 16 bytes of HMAC(store key, item): finds a person without opening rows
        household_id   INTEGER NOT NULL REFERENCES household (household_id),
        epoch_no       INTEGER NOT NULL REFERENCES epoch (epoch_no),
        edition        INTEGER NOT NULL,
        row_version    INTEGER NOT NULL,
        household_size TEXT NOT NULL,
        division       TEXT NOT NULL,
        expanding      TEXT NOT NULL,
        reasons        TEXT NOT NULL,
        receipt        BLOB NOT NULL,  -- the province's, checked at import and kept as evidence
        sealed_person  BLOB NOT NULL,  -- item and name
        created_at     TEXT NOT NULL,
        updated_at     TEXT NOT NULL,
        UNIQUE (item_ref, household_id)
    ) STRICT
    """,
    "CREATE INDEX candidate_by_household ON candidate (household_id)",
    """
    CREATE TABLE candidate_source (
        candidate_id INTEGER NOT NULL REFERENCES candidate (candidate_id),
        handover_id  INTEGER NOT NULL REFERENCES handover (handover_id),
        PRIMARY KEY (handover_id, candidate_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX source_of_candidate ON candidate_source (candidate_id)",
    """
    CREATE TABLE refused_row (
        handover_id INTEGER NOT NULL REFERENCES handover (handover_id),
        row         INTEGER NOT NULL,  -- 1, 2, 3 ... in the hand-over
        reason      TEXT NOT NULL CHECK (reason IN ('foreign_division', 'receipt_invalid')),
        masked_item TEXT NOT NULL,
        PRIMARY KEY (handover_id, row)
    ) STRICT
    """,
    """
    CREATE TABLE conflict (
        conflict_id  INTEGER PRIMARY KEY,
        kind         TEXT NOT NULL CHECK (kind IN ('person_in_two_households', 'labels_differ', 'too_many_members',
                                                   'two_names_for_one_number', 'label_changed')),
        household_id INTEGER NOT NULL REFERENCES household (household_id),
        item_ref     BLOB NOT NULL,     -- the person, where it is about one; else empty
        sealed       BLOB NOT NULL DEFAULT x'',           -- JSON: the other names of two_names_for_one_number
        handover_id  INTEGER REFERENCES handover (handover_id),  -- which import showed it; null: a form or the county
        found_at     TEXT NOT NULL,
        settled_at   TEXT,
        settled_by   TEXT,
        settlement   TEXT,              -- why, in plain words
        UNIQUE (kind, household_id, item_ref)
    ) STRICT
    """,
    ALARM_TABLE,
)


CANARIES = (
    """
    CREATE TABLE canary (
        canary_id   INTEGER PRIMARY KEY,
        dataset     TEXT NOT NULL,
        sealed      BLOB NOT NULL,  -- the household number that no household has
        received_at TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE refused (
        handover_id INTEGER NOT NULL REFERENCES handover (handover_id),
        row         INTEGER NOT NULL,  -- 1, 2, 3 ... in the hand-over
        reason      TEXT NOT NULL CHECK (reason IN ('foreign_division', 'receipt_invalid', 'canary')),
        masked_item TEXT NOT NULL,
        PRIMARY KEY (handover_id, row)
    ) STRICT
    """,
    "INSERT INTO refused SELECT * FROM refused_row",
    "DROP TABLE refused_row",
    "ALTER TABLE refused RENAME TO refused_row",
)

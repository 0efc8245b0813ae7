"""Migration m003's statements: legal entities, declarations, budgets with two allowances, alarms."""

from __future__ import annotations

from matcher.alarms import ALARM_TABLE

_ENTITIES = (
    """
    CREATE TABLE entity (
        name TEXT PRIMARY KEY,
        registered_at TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO entity SELECT name, registered_at FROM party",
    "ALTER TABLE party ADD COLUMN entity TEXT REFERENCES entity (name)",
    "UPDATE party SET entity = name",
)

_DECLARATIONS = (
    """
    CREATE TABLE declaration (
        declaration_id INTEGER PRIMARY KEY,
        entity TEXT NOT NULL REFERENCES entity (name),
        dataset TEXT NOT NULL REFERENCES dataset (name),
        epoch TEXT NOT NULL,
        customers INTEGER NOT NULL CHECK (customers >= 0),
        new_a_night INTEGER NOT NULL CHECK (new_a_night >= 0),
        reason TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected')),
        payload_sha256 TEXT NOT NULL UNIQUE CHECK (length(payload_sha256) = 64),
        envelope BLOB NOT NULL,
        rejection BLOB,
        proposed_by TEXT NOT NULL,
        proposed_at TEXT NOT NULL,
        decided_by TEXT,
        decided_at TEXT,
        CHECK ((state = 'proposed') = (decided_by IS NULL)),
        CHECK ((state = 'proposed') = (decided_at IS NULL)),
        CHECK ((state = 'rejected') = (rejection IS NOT NULL)),
        CHECK (decided_by <> proposed_by OR state = 'rejected')
    ) STRICT
    """,
    "CREATE UNIQUE INDEX one_proposal ON declaration (entity, dataset, epoch) WHERE state = 'proposed'",
)

_BUDGETS = (
    """
    CREATE TABLE entity_budget (
        entity TEXT NOT NULL REFERENCES entity (name),
        dataset TEXT NOT NULL REFERENCES dataset (name),
        epoch TEXT NOT NULL,
        lim INTEGER NOT NULL CHECK (lim BETWEEN 0 AND 4294967296),
        used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
        nightly INTEGER NOT NULL DEFAULT 0 CHECK (nightly BETWEEN 0 AND 4294967296),
        used_nightly INTEGER NOT NULL DEFAULT 0 CHECK (used_nightly >= 0),
        day TEXT NOT NULL CHECK (length(day) = 10),
        expected INTEGER NOT NULL CHECK (expected >= 0),
        declaration_id INTEGER REFERENCES declaration (declaration_id),
        PRIMARY KEY (entity, dataset, epoch)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO entity_budget (entity, dataset, epoch, lim, used, day, expected)
    SELECT party.entity, dataset, epoch, lim, used, '2000-01-01', lim
    FROM budget JOIN party ON party.fingerprint = budget.party
    """,
    """
    CREATE TABLE entity_charge (
        party TEXT NOT NULL REFERENCES party (fingerprint),
        idempotency_key TEXT NOT NULL CHECK (length(idempotency_key) = 32),
        entity TEXT NOT NULL,
        dataset TEXT NOT NULL,
        epoch TEXT NOT NULL,
        body_sha256 TEXT NOT NULL CHECK (length(body_sha256) = 64),
        n INTEGER NOT NULL CHECK (n BETWEEN 1 AND 65535),
        from_nightly INTEGER NOT NULL CHECK (from_nightly BETWEEN 0 AND n),
        day TEXT NOT NULL CHECK (length(day) = 10),
        charged_at TEXT NOT NULL,
        answered_at TEXT,
        answer_sha256 TEXT CHECK (length(answer_sha256) = 64),
        PRIMARY KEY (party, idempotency_key),
        FOREIGN KEY (entity, dataset, epoch) REFERENCES entity_budget (entity, dataset, epoch)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO entity_charge
    SELECT party, idempotency_key, entity, dataset, epoch, body_sha256, n, 0, date(charged_at, '+8 hours'),
        charged_at, answered_at, answer_sha256
    FROM charge JOIN party ON party.fingerprint = charge.party
    """,
    "DROP TABLE charge",
    "DROP TABLE budget",
    "ALTER TABLE entity_budget RENAME TO budget",
    "ALTER TABLE entity_charge RENAME TO charge",
    """
    CREATE TABLE budget_day (
        entity TEXT NOT NULL,
        dataset TEXT NOT NULL,
        epoch TEXT NOT NULL,
        day TEXT NOT NULL CHECK (length(day) = 10),
        n INTEGER NOT NULL CHECK (n >= 1),
        from_nightly INTEGER NOT NULL CHECK (from_nightly BETWEEN 0 AND n),
        PRIMARY KEY (entity, dataset, epoch, day),
        FOREIGN KEY (entity, dataset, epoch) REFERENCES budget (entity, dataset, epoch)
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO budget_day SELECT entity, dataset, epoch, day, SUM(n), 0 FROM charge GROUP BY 1, 2, 3, 4",
)

STATEMENTS = (*_ENTITIES, *_DECLARATIONS, *_BUDGETS, ALARM_TABLE)

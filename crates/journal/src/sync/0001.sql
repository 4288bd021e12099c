-- Rows that other programs write and that become events, exactly once.

-- Ours, always there. An INSERT needs event_type, payload and, for a cadet's events, cadet_id: the rest fills itself in.
CREATE TABLE sync_events (
    id SERIALKEY,
    event_type TEXT NOT NULL,
    cadet_id TEXT,
    payload TEXT NOT NULL,
    processed BOOLEAN NOT NULL DEFAULT FALSE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT CURRENT_TIMESTAMP,
    processed_at TIMESTAMP WITH TIME ZONE,
    error TEXT
);
CREATE INDEX sync_events_unprocessed ON sync_events (id) WHERE NOT processed;

-- Which rows of which source have become events, or cannot: the key decides, whoever reads a row how often.
CREATE TABLE sync_row (
    source TEXT NOT NULL,
    row_id TEXT NOT NULL,
    -- SHA-256 of the row: an id that was given out again stands for another row.
    fingerprint TEXT NOT NULL,
    error TEXT,
    processed_at_ms BIGINT NOT NULL,
    PRIMARY KEY (source, row_id)
);
CREATE INDEX sync_row_age ON sync_row (source, processed_at_ms, row_id);

-- Whose turn it is, so that nodes do not do the same work; that a row becomes one event does not rest on it.
CREATE TABLE sync_lease (
    source TEXT PRIMARY KEY,
    held_by TEXT NOT NULL,
    until_ms BIGINT NOT NULL
);

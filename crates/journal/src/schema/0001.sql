-- The log, its channels, who may see what, and what must survive a lost answer.
-- BIGKEY stands for the engine's own 64-bit primary key.

CREATE TABLE log_head (
    singleton BIGINT PRIMARY KEY CHECK (singleton = 1),
    head BIGINT NOT NULL,
    recorded_at_ms BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    -- Ids up to here belong to earlier epochs.
    epoch_floor BIGINT NOT NULL
);
INSERT INTO log_head (singleton, head, recorded_at_ms, epoch, epoch_floor) VALUES (1, 0, 0, 1, 0);

CREATE TABLE event (
    id BIGKEY,
    channel TEXT NOT NULL,
    seq BIGINT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    recorded_at_ms BIGINT NOT NULL,
    -- JSON list of grants and revocations, or NULL.
    effects TEXT
);
CREATE INDEX event_channel_id ON event (channel, id);
CREATE INDEX event_type_id ON event (type, id);

CREATE TABLE channel_head (
    channel TEXT PRIMARY KEY,
    seq BIGINT NOT NULL,
    -- Events of this channel up to this id may have been pruned.
    pruned_through BIGINT NOT NULL
);
CREATE INDEX channel_head_pruned_through ON channel_head (pruned_through);

CREATE TABLE membership (
    person TEXT NOT NULL,
    channel TEXT NOT NULL,
    granted_id BIGINT NOT NULL,
    -- NULL while the person is a member.
    revoked_id BIGINT,
    PRIMARY KEY (person, channel, granted_id)
);

CREATE TABLE idempotency (
    -- SHA-256 of caller, route and key.
    idem TEXT PRIMARY KEY,
    body_hash TEXT NOT NULL,
    outcome TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX idempotency_created_at_ms ON idempotency (created_at_ms);

CREATE TABLE ticket (
    -- SHA-256 of the ticket; the ticket itself is never stored.
    hash TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    expires_at_ms BIGINT NOT NULL
);

-- Credentials that ended before their time, as the effects of events say.

CREATE TABLE revocation (
    -- 'user': everything issued to this person before the instant; 'token': the one token of this id.
    kind TEXT NOT NULL CHECK (kind IN ('user', 'token')),
    -- A person's canonical id, or a token's id with whose it must be.
    subject TEXT NOT NULL,
    -- Of a token that somebody ended as their own: the person. Empty where it counts for whoever shows it.
    person TEXT NOT NULL,
    revoked_at_ms BIGINT NOT NULL,
    PRIMARY KEY (kind, subject, person)
);
CREATE INDEX revocation_revoked_at_ms ON revocation (revoked_at_ms);

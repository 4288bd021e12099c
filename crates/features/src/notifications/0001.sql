-- What people are notified of, and what they have read.

CREATE TABLE notification (
    notification_id SERIALKEY,
    user_id TEXT NOT NULL,
    message TEXT NOT NULL,
    type TEXT NOT NULL,
    is_read BOOLEAN NOT NULL,
    created_at_ms BIGINT NOT NULL
);
CREATE INDEX notification_user_id ON notification (user_id, notification_id);

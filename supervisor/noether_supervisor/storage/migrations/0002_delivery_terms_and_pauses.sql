-- How often a delivery may be tried and whether it is signed, as the configuration said when the
-- run ended: for a job that has left the configuration since. The secret is never stored.
ALTER TABLE delivery ADD COLUMN most_attempts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE delivery ADD COLUMN signed INTEGER NOT NULL DEFAULT 0;

-- A job that `noether-scheduler pause` paused, and since when; null: it is not paused. Like a
-- disabled job it is not `counting`.
ALTER TABLE job ADD COLUMN paused_us INTEGER;

-- A webhook's URL may be as good as a password, so the history keeps only what may be shown of it:
-- scheme and host. Where an owed call goes, and whether it is signed, the configuration says when
-- the call is made.
ALTER TABLE delivery RENAME COLUMN url TO receiver;
UPDATE delivery SET receiver = substr(receiver, 1, instr(receiver, '://') + 2) || '…';
ALTER TABLE delivery DROP COLUMN signed;

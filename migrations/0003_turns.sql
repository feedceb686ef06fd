-- Signals are decided on in turns of installations, so what waits is found by installation.
DROP INDEX inbox_pending;
CREATE INDEX inbox_pending ON inbox (installation, id) WHERE state = 0;

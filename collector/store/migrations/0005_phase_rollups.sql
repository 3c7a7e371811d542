-- Where the time of checks went, for each series and hour (collector/core/phase_rollup.h).
CREATE TABLE phase_rollups (
  hour_us INTEGER NOT NULL,
  series INTEGER NOT NULL,
  rollup BLOB NOT NULL,
  PRIMARY KEY (hour_us, series)
) STRICT, WITHOUT ROWID;

-- One row: the rowid of the last of `results` that is in phase_rollups.
CREATE TABLE phase_rollup_progress (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  last_result INTEGER NOT NULL
) STRICT;
INSERT INTO phase_rollup_progress VALUES (1, 0);

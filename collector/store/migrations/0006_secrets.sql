-- Secrets that monitors name, sealed with the key of the state directory (common/io/secret_box.h).
CREATE TABLE secrets (
  name TEXT NOT NULL PRIMARY KEY,
  sealed TEXT NOT NULL,
  rev INTEGER NOT NULL,
  changed_us INTEGER NOT NULL,
  changed_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

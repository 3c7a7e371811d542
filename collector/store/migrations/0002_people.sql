-- People and what they may do, what they tell readers, and what was asked for twice.

-- Beside each object of the catalogue: where it came from and which version it is.
CREATE TABLE objects (
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  origin TEXT NOT NULL,
  rev INTEGER NOT NULL,
  created_us INTEGER NOT NULL,
  updated_us INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  key TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  disabled INTEGER NOT NULL,
  spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE credentials (
  user BLOB NOT NULL PRIMARY KEY,
  password_hash TEXT NOT NULL,
  changed_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tokens (
  id BLOB NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  role TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_us INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  expires_us INTEGER,
  last_used_us INTEGER,
  revoked_us INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
  digest TEXT NOT NULL PRIMARY KEY,
  user BLOB NOT NULL,
  created_us INTEGER NOT NULL,
  expires_us INTEGER,
  client TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  kind TEXT NOT NULL,
  key TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;

CREATE TABLE requests (
  key TEXT NOT NULL PRIMARY KEY,
  digest TEXT NOT NULL,
  subject TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE reports (
  id BLOB NOT NULL PRIMARY KEY,
  page TEXT NOT NULL,
  kind TEXT NOT NULL,
  title TEXT NOT NULL,
  impact TEXT NOT NULL,
  components TEXT NOT NULL,
  updates TEXT NOT NULL,
  scheduled_from_us INTEGER,
  scheduled_to_us INTEGER,
  created_us INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  rev INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reports_by_creation ON reports (created_us, id);

-- The collector's database; docs/store.md describes every table. Times are microseconds since the
-- Unix epoch (NULL: never), ids 16 bytes, nested values JSON or protobuf. collector/store/rows.cc
-- maps rows to these columns; the first columns of a WITHOUT ROWID table are its key.

-- What was committed, per shard.
CREATE TABLE shards (
  shard INTEGER PRIMARY KEY,
  commit_seq INTEGER NOT NULL,
  wall_us INTEGER NOT NULL,
  mono_us INTEGER NOT NULL
) STRICT;

-- One group of steps under one Now; its entries are in `journal`.
CREATE TABLE commits (
  shard INTEGER NOT NULL,
  commit_seq INTEGER NOT NULL,
  wall_us INTEGER NOT NULL,
  mono_us INTEGER NOT NULL,
  PRIMARY KEY (shard, commit_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE journal (
  shard INTEGER NOT NULL,
  commit_seq INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  kind TEXT NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (shard, commit_seq, ordinal)
) STRICT;

CREATE TABLE checkpoints (
  shard INTEGER PRIMARY KEY,
  commit_seq INTEGER NOT NULL,
  bytes BLOB NOT NULL
) STRICT;

CREATE TABLE meta (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The catalogue.

CREATE TABLE regions (
  key TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE monitors (
  key TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  target TEXT NOT NULL,
  interval_ms INTEGER NOT NULL,
  service TEXT NOT NULL,
  paused INTEGER NOT NULL,
  spec_rev INTEGER NOT NULL,
  spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
  key TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  name TEXT NOT NULL,
  policy TEXT NOT NULL,
  description TEXT NOT NULL,
  urgency TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
  key TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE channels (
  key TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  type TEXT NOT NULL,
  url TEXT NOT NULL,
  recipient TEXT NOT NULL,
  secret_file TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE status_pages (
  slug TEXT NOT NULL PRIMARY KEY,
  id BLOB NOT NULL,
  title TEXT NOT NULL,
  spec TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Agents and what they may report.

CREATE TABLE agents (
  agent BLOB NOT NULL PRIMARY KEY,
  region TEXT NOT NULL,
  public_key TEXT NOT NULL,
  host TEXT NOT NULL,
  version TEXT NOT NULL,
  enrolled_us INTEGER NOT NULL,
  last_seen_us INTEGER NOT NULL,
  revoked_us INTEGER,
  results_stored INTEGER NOT NULL,
  results_gapped INTEGER NOT NULL,
  refused_too_old INTEGER NOT NULL,
  refused_future INTEGER NOT NULL,
  refused_unassigned INTEGER NOT NULL,
  refused_duplicate INTEGER NOT NULL,
  refused_quarantined INTEGER NOT NULL,
  forks INTEGER NOT NULL,
  cloned INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolments (
  id BLOB NOT NULL PRIMARY KEY,
  region TEXT NOT NULL,
  public_key TEXT NOT NULL,
  expires_us INTEGER,
  used_us INTEGER,
  agent BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
  agent BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  nonce BLOB NOT NULL,
  shard INTEGER NOT NULL,
  class TEXT NOT NULL,
  high_water INTEGER NOT NULL,
  digest BLOB NOT NULL,
  last_seen_us INTEGER NOT NULL,
  PRIMARY KEY (agent, epoch, nonce, shard, class)
) STRICT, WITHOUT ROWID;

CREATE TABLE series (
  series INTEGER PRIMARY KEY,
  monitor BLOB NOT NULL,
  monitor_key TEXT NOT NULL,
  region TEXT NOT NULL,
  generation INTEGER NOT NULL,
  interval_ms INTEGER NOT NULL,
  phase_ms INTEGER NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER
) STRICT;
CREATE INDEX series_of_monitor ON series (monitor);

CREATE TABLE assignments (
  series INTEGER NOT NULL,
  agent BLOB NOT NULL,
  from_us INTEGER NOT NULL,
  to_us INTEGER,
  PRIMARY KEY (series, agent, from_us)
) STRICT, WITHOUT ROWID;

-- What was decided.

CREATE TABLE verdicts (
  monitor BLOB NOT NULL,
  seq INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  status TEXT NOT NULL,
  n INTEGER NOT NULL,
  k INTEGER NOT NULL,
  down INTEGER NOT NULL,
  up INTEGER NOT NULL,
  degraded INTEGER NOT NULL,
  because TEXT NOT NULL,
  votes TEXT NOT NULL,
  late INTEGER NOT NULL,
  replaced INTEGER NOT NULL,
  PRIMARY KEY (monitor, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX verdicts_by_time ON verdicts (monitor, at_us);

CREATE TABLE monitor_states (
  monitor BLOB NOT NULL PRIMARY KEY,
  status TEXT NOT NULL,
  since_us INTEGER NOT NULL,
  because TEXT NOT NULL,
  verdict_seq INTEGER NOT NULL,
  incident BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE region_states (
  region TEXT NOT NULL PRIMARY KEY,
  blind INTEGER NOT NULL,
  since_us INTEGER NOT NULL,
  incident BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE incidents (
  id BLOB NOT NULL PRIMARY KEY,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  monitor BLOB,
  monitor_key TEXT NOT NULL,
  region TEXT NOT NULL,
  channel TEXT NOT NULL,
  service TEXT NOT NULL,
  urgency TEXT NOT NULL,
  assignee TEXT NOT NULL,
  watchers TEXT NOT NULL,
  title TEXT NOT NULL,
  because TEXT NOT NULL,
  started_us INTEGER NOT NULL,
  opened_us INTEGER NOT NULL,
  acknowledged_us INTEGER,
  acknowledged_by TEXT NOT NULL,
  resolved_us INTEGER,
  resolved_because TEXT NOT NULL,
  votes TEXT NOT NULL,
  evidence BLOB NOT NULL,
  timeline_seq INTEGER NOT NULL,
  policy TEXT NOT NULL,
  used_links TEXT NOT NULL,
  notified TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX incidents_by_number ON incidents (number);
CREATE INDEX incidents_by_opening ON incidents (opened_us, number);
CREATE INDEX incidents_open ON incidents (opened_us, number) WHERE state <> 'resolved';

CREATE TABLE timeline (
  incident BLOB NOT NULL,
  seq INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  type TEXT NOT NULL,
  actor TEXT NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (incident, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE escalations (
  incident BLOB NOT NULL PRIMARY KEY,
  step INTEGER NOT NULL,
  repeat INTEGER NOT NULL,
  due_us INTEGER,
  done INTEGER NOT NULL,
  ack_expiry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages: intents and what became of them.

CREATE TABLE outbox (
  id BLOB NOT NULL PRIMARY KEY,
  incident BLOB NOT NULL,
  cause_seq INTEGER NOT NULL,
  step INTEGER NOT NULL,
  repeat INTEGER NOT NULL,
  kind TEXT NOT NULL,
  channel TEXT NOT NULL,
  destination TEXT NOT NULL,
  content TEXT NOT NULL,
  evidence BLOB NOT NULL,
  created_us INTEGER NOT NULL,
  due_us INTEGER NOT NULL,
  user TEXT NOT NULL,
  more_contacts INTEGER NOT NULL,
  state TEXT NOT NULL,
  token INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_us INTEGER,
  cancel_why TEXT NOT NULL,
  UNIQUE (incident, cause_seq, step, repeat, channel)
) STRICT;
CREATE INDEX outbox_waiting ON outbox (created_us, id) WHERE state IN ('pending', 'claimed');
CREATE INDEX outbox_by_creation ON outbox (created_us, id);

CREATE TABLE deliveries (
  notification BLOB NOT NULL,
  token INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at_us INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  retry_us INTEGER,
  status INTEGER NOT NULL,
  detail TEXT NOT NULL,
  duration_ms INTEGER NOT NULL,
  PRIMARY KEY (notification, token)
) STRICT, WITHOUT ROWID;

-- What was measured. `result` is a protobuf tocsin.v1.Result with every attempt; the other columns
-- are copies of what is asked for.

CREATE TABLE results (
  series INTEGER NOT NULL,
  tick INTEGER NOT NULL,
  slot_us INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  duration_us INTEGER NOT NULL,
  agent BLOB NOT NULL,
  received_us INTEGER NOT NULL,
  late INTEGER NOT NULL,
  result BLOB NOT NULL,
  UNIQUE (series, tick)
) STRICT;

-- Runs of slots that were not checked. A missed run never occupies a tick of `results`.
CREATE TABLE missed_runs (
  series INTEGER NOT NULL,
  tick_last INTEGER NOT NULL,
  tick_first INTEGER NOT NULL,
  slot_us INTEGER NOT NULL,
  cause TEXT NOT NULL,
  agent BLOB NOT NULL,
  received_us INTEGER NOT NULL,
  late INTEGER NOT NULL,
  result BLOB NOT NULL,
  UNIQUE (series, tick_last)
) STRICT;

-- Checks that take no tick: confirmations and runs that people asked for.
CREATE TABLE one_off_results (
  request BLOB NOT NULL,
  series INTEGER NOT NULL,
  kind TEXT NOT NULL,
  slot_us INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT,
  duration_us INTEGER NOT NULL,
  agent BLOB NOT NULL,
  received_us INTEGER NOT NULL,
  late INTEGER NOT NULL,
  result BLOB NOT NULL,
  UNIQUE (request, series)
) STRICT;
CREATE INDEX one_off_results_by_time ON one_off_results (series, slot_us);

-- What /events streams.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  topic TEXT NOT NULL,
  subject TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;

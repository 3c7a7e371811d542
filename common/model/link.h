#pragma once
// Question answered here: what do an agent and the collector say to each other?
//
// The messages as values; common/wire turns them into protobuf and back, docs/wire.md describes the
// bytes. Identity never stands in a message: the collector takes it from the CURVE key. Both sides
// ignore and count what they do not know.
//
// A session: the agent connects with a fresh routing id and says Hello; the collector answers
// Welcome (or Refused); then frames, acks, heartbeats and assignments flow until either side goes.

#include "common/base/bytes.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/frame.h"
#include "common/model/monitor_spec.h"
#include "common/model/slots.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin {

/// Raised on a change that an older peer would misread; N and N-1 work together.
inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::uint32_t kProtocolVersionMin = 1;

/// Bits of Hello::capabilities.
inline constexpr std::uint64_t kCapHttp = 1;
inline constexpr std::uint64_t kCapTcp = 2;
inline constexpr std::uint64_t kCapDns = 4;
inline constexpr std::uint64_t kCapTls = 8;       ///< And TCP with STARTTLS.
inline constexpr std::uint64_t kCapSecrets = 16;  ///< Secrets that come with the assignment.
inline constexpr std::uint64_t kCapOcsp = 32;     ///< OcspMode of http, tcp and tls.

enum class AgentHealth : std::uint8_t {
  kHealthy = 1,
  kSuspect = 2,  ///< Takes no confirm runs; its votes count.
  kBlind = 3,    ///< Its failures are its own: outcome no_data with self.*.
};

const char* to_string(AgentHealth health);

// --- agent to collector ---

/// What the agent has of one stream on its disk.
struct StreamOffer {
  StreamId stream;
  std::uint64_t first = 0;  ///< Oldest frame still held; last + 1 when none is.
  std::uint64_t last = 0;   ///< Newest synced frame; 0: none yet.
  Digest16 last_digest{};   ///< Of `last`.

  friend bool operator==(const StreamOffer&, const StreamOffer&) = default;
};

struct Hello {
  std::uint32_t protocol = kProtocolVersion;
  std::uint64_t capabilities = 0;
  std::string version;                 ///< Of the program.
  std::string host;                    ///< Host name, for people.
  Uuid boot{};                         ///< Fresh per process start; tells clones apart.
  std::vector<StreamOffer> streams;    ///< At most kMaxStreams, the current ones last.
  std::uint64_t assignment_epoch = 0;  ///< What it runs now; 0: nothing.
  WallTime wall;

  static constexpr std::size_t kMaxStreams = 256;
  friend bool operator==(const Hello&, const Hello&) = default;
};

/// Every 3 s. Counters are since the stream epoch began (see docs/wire.md, accounting).
struct Heartbeat {
  std::uint64_t number = 0;
  WallTime wall;  ///< t1; the reply brings t2 and t3.
  AgentHealth health = AgentHealth::kHealthy;
  Reason self_fault = Reason::kNone;
  std::uint32_t monitors = 0;
  std::uint32_t in_flight = 0;
  std::uint64_t generated = 0;  ///< Results made since the agent's state directory was created.
  std::uint64_t in_spool = 0;   ///< Results on disk and not acknowledged.
  std::uint64_t gapped = 0;     ///< Results given up and reported in Gaps.
  std::uint64_t spool_bytes = 0;
  std::uint64_t spool_bytes_max = 0;
  std::uint32_t lateness_p99_ms = 0;  ///< Slot to start, last minute.
  ClockTrust clock;

  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

/// The agent runs assignment `epoch` now; series that it dropped have no run in flight any more.
struct ConfigApplied {
  std::uint64_t epoch = 0;

  friend bool operator==(const ConfigApplied&, const ConfigApplied&) = default;
};

/// The first failed attempt of a check whose retries go on. Not spooled.
struct Suspicion {
  SeriesId series{};
  std::uint32_t tick = 0;
  std::uint32_t spec_rev = 0;
  Reason reason = Reason::kNone;

  friend bool operator==(const Suspicion&, const Suspicion&) = default;
};

/// The agent could not apply a delta; it wants the whole assignment.
struct AssignmentWanted {
  std::uint64_t have = 0;

  friend bool operator==(const AssignmentWanted&, const AssignmentWanted&) = default;
};

/// The agent stops; its region has 90 s before it counts as blind.
struct Goodbye {
  std::string why;

  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};

/// Sent with the one-time key of an enrolment bundle only.
struct Enrol {
  std::string public_key;  ///< The agent's own CURVE public key, Z85, 40 characters.
  std::string version;
  std::string host;

  friend bool operator==(const Enrol&, const Enrol&) = default;
};

using AgentMessage =
    std::variant<Hello, Heartbeat, ConfigApplied, Suspicion, AssignmentWanted, Goodbye, Enrol>;

// --- collector to agent ---

/// What the collector has committed of one stream. high_water 0: nothing, `digest` is meaningless.
struct StreamAck {
  StreamId stream;
  std::uint64_t high_water = 0;
  Digest16 digest{};
  std::uint32_t credit =
      0;  ///< Unacknowledged bytes the agent may have under way; one frame always may.

  friend bool operator==(const StreamAck&, const StreamAck&) = default;
};

struct Welcome {
  std::uint32_t protocol = kProtocolVersion;
  std::string region;
  std::vector<StreamAck> streams;  ///< One for each offered stream.
  WallTime wall;
  Duration heartbeat = std::chrono::seconds{3};

  friend bool operator==(const Welcome&, const Welcome&) = default;
};

struct Ack {
  StreamAck stream;

  friend bool operator==(const Ack&, const Ack&) = default;
};

enum class NackCode : std::uint8_t {
  kOutOfOrder = 1,  ///< Resume after high_water.
  kFork = 2,        ///< The chain does not fit: high_water and digest are what is committed.
  kBusy = 3,        ///< Not now; `retry_after`.
  kMalformed = 4,   ///< The frame cannot be read; it is quarantined and counted.
};

const char* to_string(NackCode code);

struct Nack {
  StreamAck stream;
  NackCode code = NackCode::kOutOfOrder;
  Duration retry_after{0};

  friend bool operator==(const Nack&, const Nack&) = default;
};

struct AssignedSeries {
  SeriesId series{};
  MonitorId monitor;
  std::string key;  ///< For the agent's logs.
  std::uint32_t spec_rev = 0;
  std::uint16_t shard = 0;
  SlotGrid grid;
  bool confirm = true;  ///< Send Suspicion at the first failed attempt.
  ProbeSpec spec;
  /// Why `spec`, then empty, could not be read: a newer collector says what this agent does not
  /// know. Such a series has no data; the others run.
  std::string unreadable = {};

  friend bool operator==(const AssignedSeries&, const AssignedSeries&) = default;
};

/// A secret of the collector that assigned specs name. The link carries its bytes, under CURVE;
/// within each program it is what that program's own key has sealed (common/io/secret_box.h).
struct AssignedSecret {
  std::string name;
  Bytes value;  ///< Empty: the collector has none of that name, or cannot open it.

  friend bool operator==(const AssignedSecret&, const AssignedSecret&) = default;
};

/// A delta from `base` to `epoch`; base 0 is the whole assignment. `put` adds or replaces by
/// series.
struct Assignment {
  std::uint64_t base = 0;
  std::uint64_t epoch = 0;
  std::uint64_t config_version = 0;
  std::vector<AssignedSeries> put;
  std::vector<SeriesId> drop;
  bool more = false;
  std::vector<AssignedSecret> secrets = {};  ///< What `put` names; replaces by name.

  friend bool operator==(const Assignment&, const Assignment&) = default;
};

/// Run this series once, now. The result comes as kConfirm or kRunNow with the request's id.
struct RunRequest {
  Uuid request{};
  SeriesId series{};
  std::uint32_t spec_rev = 0;
  ResultKind kind = ResultKind::kConfirm;

  friend bool operator==(const RunRequest&, const RunRequest&) = default;
};

/// NTP-style stamps: t1 as sent by the agent, t2 and t3 the collector's receive and send.
struct HeartbeatReply {
  std::uint64_t number = 0;
  WallTime t1;
  WallTime t2;
  WallTime t3;

  friend bool operator==(const HeartbeatReply&, const HeartbeatReply&) = default;
};

enum class RefusalCode : std::uint8_t {
  kVersion = 1,  ///< `text` names the versions that work.
  kRevoked = 2,
  kNoSession = 3,  ///< Say Hello first (the collector restarted).
  kCloned = 4,     ///< Another process with this key took the session.
  kEnrolment = 5,  ///< Used, expired or unknown.
};

const char* to_string(RefusalCode code);

struct Refused {
  RefusalCode code = RefusalCode::kNoSession;
  std::string text;  ///< What to do, for the agent's log.

  friend bool operator==(const Refused&, const Refused&) = default;
};

struct Enrolled {
  AgentId agent;
  std::string region;

  friend bool operator==(const Enrolled&, const Enrolled&) = default;
};

using CollectorMessage =
    std::variant<Welcome, Ack, Nack, Assignment, RunRequest, HeartbeatReply, Refused, Enrolled>;

}  // namespace tocsin

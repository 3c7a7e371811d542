#pragma once
// Question answered here: what does the agent do next?
//
// The agent's only decision maker: an event and the time in, commands out. No I/O, clock, thread or
// chance. It owns the queues, the checks under way, the send window, the assignment and the agent's
// opinion of itself; each is a file of its own beside this one.

#include "common/base/latencies.h"
#include "common/base/time.h"
#include "common/model/check_result.h"
#include "common/model/frame.h"
#include "common/model/link.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::agent {

/// One execution of a check, from its first attempt to its result. Never reused within a process.
enum class RunId : std::uint64_t {};

// --- events ---

/// Time has passed; nothing else happened.
struct Wake {};

/// Attempt `attempt` (1-based) of `run` ended.
struct AttemptDone {
  RunId run{};
  std::uint32_t attempt = 0;
  Observation observation;
};

/// The link is connected and authenticated as far as ZeroMQ tells; say Hello.
struct LinkUp {};

struct LinkDown {
  std::string why;
};

struct MessageArrived {
  CollectorMessage message;
};

/// From the frame writer: `frame` is durable and may be sent.
struct SpoolSynced {
  FrameRef frame;
};

/// From the frame writer: `gap` took the place of frames.
struct SpoolReplaced {
  FrameRef gap;
};

/// From the frame writer: the streams are gone, their results are in new frames.
struct SpoolRestreamed {
  std::vector<StreamId> old_streams;
};

/// The wall clock jumped and the shell accepted the jump.
struct ClockStepped {
  Duration by{0};
};

/// What the shell measured of the machine; every 3 s or so.
struct SelfMeasured {
  std::uint64_t spool_bytes = 0;
  std::uint64_t spool_bytes_max = 0;
  std::uint64_t results_in_spool = 0;
  std::uint64_t results_gapped = 0;
  bool descriptors_short = false;
};

/// Stop scheduling, let runs in flight end (the shell waits for idle()), say Goodbye.
struct Drain {
  std::string why;
};

using AgentEvent = std::variant<Wake, AttemptDone, LinkUp, LinkDown, MessageArrived, SpoolSynced,
                                SpoolReplaced, SpoolRestreamed, ClockStepped, SelfMeasured, Drain>;

// --- commands, to be carried out in order ---

struct StartAttempt {
  RunId run{};
  std::uint32_t attempt = 0;
  std::shared_ptr<const ProbeSpec> spec;  ///< Shared with the assignment; see ProbeRunner.
  Duration timeout{0};
};

/// Destroy the run's ProbeHandle; no AttemptDone will be accepted for it.
struct CancelRun {
  RunId run{};
};

/// FrameWriter::add.
struct SpoolResult {
  StreamClass cls = StreamClass::kRoutine;
  std::uint16_t shard = 0;
  CheckResult result;
  bool close = false;
};

/// FrameWriter::read, then send. If the frame cannot be read the shell says so by SpoolReplaced
/// (after the writer made a Gap) or drops the link.
struct SendFrame {
  FrameRef frame;
};

struct SendMessage {
  AgentMessage message;
};

struct ReleaseFrames {
  StreamId stream;
  std::uint64_t seq = 0;
};

struct RestreamFrames {
  std::vector<StreamId> streams;
};

/// Close the link and connect again (with a fresh routing id) not before `not_before`.
struct DropLink {
  std::string why;
  MonoTime not_before;
};

/// A new assignment is in force; the shell may cache it. Also sent for deltas, with the whole set.
struct AssignmentChanged {
  std::uint64_t epoch = 0;
};

enum class NoticeLevel : std::uint8_t { kInfo, kWarning, kError };

/// Something an operator should read in the log; `code` is stable ("fork_detected").
struct Notice {
  NoticeLevel level = NoticeLevel::kInfo;
  std::string code;
  std::string text;
};

using AgentCommand =
    std::variant<StartAttempt, CancelRun, SpoolResult, SendFrame, SendMessage, ReleaseFrames,
                 RestreamFrames, DropLink, AssignmentChanged, Notice>;

/// What the shell gives the conductor of the spool: read-only looks, answered from memory.
class SpoolView {
 public:
  virtual ~SpoolView() = default;
  virtual std::vector<StreamOffer> offers() const = 0;
  virtual std::vector<FrameRef> frames_after(const StreamId& stream, std::uint64_t seq,
                                             std::size_t limit) const = 0;
  virtual std::optional<Digest16> digest_of(const StreamId& stream, std::uint64_t seq) const = 0;
};

/// A place that always answers, by the operator's word; looked at to know our own way out.
struct Anchor {
  std::string name;  ///< For people: "http://anchor.example/".
  ProbeSpec spec;    ///< Its timeout and interval are those of the looks; nothing is retried.

  friend bool operator==(const Anchor&, const Anchor&) = default;
};

/// Numbers for /metrics; a plain snapshot.
struct AgentStats {
  struct Queue {
    Duration interval{0};
    std::uint64_t series = 0;
    std::uint64_t in_flight = 0;
    std::uint64_t started = 0;
    std::uint64_t missed = 0;
    Duration lateness_max{0};  ///< Since the last look.
    Latencies lateness;        ///< Slot to start.
  };

  std::vector<Queue> queues;
  std::uint64_t results[6] = {};  ///< By Outcome.
  std::uint64_t attempts = 0;
  std::uint64_t recovered = 0;
  std::uint64_t suspicions = 0;
  std::uint64_t confirms = 0;
  std::uint64_t generated = 0;
  std::uint64_t forks = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_acked = 0;
  std::uint64_t unacked_bytes = 0;
  Latencies ack_latencies;  ///< SendWindow::ack_latencies.
  std::uint64_t messages_ignored = 0;
  bool linked = false;
  AgentHealth health = AgentHealth::kHealthy;
  Reason fault = Reason::kNone;  ///< Why the health is what it is.
  std::uint64_t assignment_epoch = 0;

  struct AnchorStats {
    std::string name;
    std::uint64_t looks = 0;
    std::uint64_t failed = 0;
    bool answers = false;
    bool counts = true;  ///< SelfHealth H5.
  };

  std::vector<AnchorStats> anchors;
  std::map<Reason, std::uint64_t> no_data;  ///< Checks that say nothing of their target, by why.
};

class Conductor {
 public:
  static constexpr std::size_t kAnchorsMax = 8;
  /// Runs that were asked for (confirm, run now) and wait for a place; more are ignored. One that
  /// has waited kAskedWait is given up.
  static constexpr std::size_t kAskedMax = 256;
  static constexpr Duration kAskedWait = std::chrono::seconds{10};
  /// How long a restarted agent is silent for slots_done; new monitors wait as well, so it is
  /// short.
  static constexpr Duration kSlotsDoneMax = std::chrono::seconds{60};
  /// Between two looks at one anchor, however many checks wait for a proof.
  static constexpr Duration kLookEvery = std::chrono::seconds{1};

  struct Options {
    std::string version;
    std::string host;
    Uuid boot{};
    std::uint64_t capabilities = kCapHttp | kCapTcp | kCapDns | kCapTls | kCapSecrets | kCapOcsp;
    std::uint32_t max_in_flight = 1000;
    std::uint32_t max_in_flight_per_target = 4;
    std::vector<Anchor> anchors;  ///< At most kAnchorsMax.
    /// What results_generated had reached in earlier lives of this state directory.
    std::uint64_t generated_before = 0;
    /// An earlier life of this state directory, whose clock was ahead, ran or gave up the slots up
    /// to here: they do not come twice. Zero, past, or more than kSlotsDoneMax away: not heeded.
    WallTime slots_done{};
  };

  /// `spool` outlives the conductor.
  Conductor(Options options, const SpoolView& spool, Now now);
  ~Conductor();

  /// Appends to `out`.
  void step(const AgentEvent& event, Now now, std::vector<AgentCommand>& out);

  /// When to send Wake at the latest.
  MonoTime next_wakeup() const;

  /// No run is in flight.
  bool idle() const;

  AgentStats stats();

  /// The whole assignment in force, for the cache on disk, with the secrets as they came.
  Assignment assignment() const;

  /// Those that what is assigned names, by name; valid until the next step.
  const std::map<std::string, AssignedSecret>& secrets() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: what does one finished check say, with all its evidence?

#include "common/base/boxed.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/model/observation.h"
#include "common/model/outcome.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tocsin {

/// What the judge says of one attempt.
struct Finding {
  Outcome outcome = Outcome::kUp;  ///< kUp, kDegraded, kDown or kNoData.
  Reason reason = Reason::kNone;
  std::string detail;  ///< Bounded (256 bytes), printable: "expected status == 200, got 503".

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// One try inside a check, kept as evidence whether or not a later one passed.
struct Attempt {
  std::uint32_t start_offset_us = 0;  ///< After the start of the check's first attempt.
  Finding finding;
  Phases phases;
  std::string remote;
  std::uint32_t http_status = 0;                    ///< 0: none.
  std::int64_t cert_not_after_ms = 0;               ///< Unix ms; 0: no certificate seen.
  ConnectionUse connection = ConnectionUse::kCold;  ///< HTTP: of the last response.
  std::string excerpt;  ///< On failure: head and body, at most 4 KiB, redacted; may be empty.
  /// Addresses that failed before `remote`, "192.0.2.1:443: connect.timeout"; at most kTriedMax.
  std::vector<std::string> tried;
  /// On failure, if TLS was spoken: with kEvidenceChainMax certificates, kEvidenceNamesMax names of
  /// the leaf alone and kEvidenceProblemsMax problems at most.
  Boxed<TlsFacts> tls;
  /// If there were redirects: every request in order, the last one included. Of an attempt that is
  /// up without URL and address; of failed ones after the first none.
  std::vector<HttpHop> hops;
  Boxed<TcpFacts> tcp;  ///< On failure and when degraded, if there was a connection.

  static constexpr std::size_t kTriedMax = 16;
  static constexpr std::size_t kEvidenceChainMax = 4;
  static constexpr std::size_t kEvidenceNamesMax = 10;
  static constexpr std::size_t kEvidenceProblemsMax = 4;

  friend bool operator==(const Attempt&, const Attempt&) = default;
};

enum class ResultKind : std::uint8_t {
  kScheduled = 0,
  kMissed = 1,   ///< A run of ticks that were not run; outcome kMissed, no attempts.
  kConfirm = 2,  ///< Asked for by the collector; takes no tick, votes.
  kRunNow = 3,   ///< Asked for by a person; takes no tick, does not vote.
};

/// How far the agent trusts its own clock at the time of the check.
struct ClockTrust {
  std::int32_t offset_ms = 0;  ///< Last measured collector minus agent; 0 until measured.
  std::uint32_t error_ms =
      0;  ///< Half the round trip of that measurement; UINT32_MAX: never measured.

  friend bool operator==(const ClockTrust&, const ClockTrust&) = default;
};

struct CheckResult {
  static constexpr std::size_t kMaxAttempts = 11;

  SeriesId series{};
  ResultKind kind = ResultKind::kScheduled;
  std::uint32_t tick = 0;       ///< Scheduled: its tick. Missed: the first of the run. Else 0.
  std::uint32_t tick_last = 0;  ///< Missed: the last of the run. Scheduled: == tick. Else 0.
  std::uint32_t spec_rev = 0;
  std::uint64_t config_version = 0;
  WallTime slot;  ///< Due moment on the agent's clock; confirm and run-now: their start.
  std::uint32_t queue_us = 0;     ///< Our own lateness: slot to first syscall.
  std::uint32_t duration_us = 0;  ///< First attempt's start to the last one's end.
  Outcome outcome = Outcome::kUp;
  Reason reason =
      Reason::kNone;  ///< Of the last attempt when not up; of the first failed one when recovered.
  MissedCause missed = MissedCause::kNone;
  Uuid request{};  ///< Confirm and run-now: the request's id. Zero otherwise.
  std::vector<Attempt> attempts;
  ClockTrust clock;

  friend bool operator==(const CheckResult&, const CheckResult&) = default;

  /// Passed, but not on the first attempt.
  bool recovered() const {
    return attempts.size() > 1 && (outcome == Outcome::kUp || outcome == Outcome::kDegraded);
  }

  /// How many results this counts for in the accounting of DEC-8.
  std::uint32_t weight() const { return kind == ResultKind::kMissed ? tick_last - tick + 1 : 1; }
};

}  // namespace tocsin

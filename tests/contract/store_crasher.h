#pragma once
// Question answered here: what does the process that store_crash_test kills write?

#include "tests/contract/sample_rows.h"

namespace tocsin::collector {

inline constexpr WallTime kCrasherClaim = WallTime{sample::kStart.us + 3'600'000'000};

inline NotificationId crasher_notification(std::uint8_t n) { return sample::id<NotificationId>(n); }

/// Every group touches what the one before wrote, and adds a result, an event and a journal row.
/// Group 1 has an outbox row.
inline CommitGroup crasher_group(std::uint64_t seq) {
  CommitGroup group = sample::commit(
      seq,
      {MetaRow{"event_seq", seq}, sample::verdict(seq, sample::kStart),
       sample::row(sample::failed_result(12, static_cast<std::uint32_t>(seq))),
       EventRow{
           .seq = seq, .at = sample::kStart, .topic = "monitor", .subject = "shop", .text = "x"}});
  if (seq == 1) group.rows.emplace_back(sample::outbox(1));
  group.journal = {
      sample::entry(JournalEntry::Kind::kFrame, std::string(10'000, 'f') + std::to_string(seq))};
  group.checkpoint = "checkpoint " + std::to_string(seq);
  return group;
}

}  // namespace tocsin::collector

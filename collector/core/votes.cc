#include "collector/core/votes.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

bool counts(Outcome outcome) {
  return outcome == Outcome::kUp || outcome == Outcome::kDegraded || outcome == Outcome::kDown;
}

std::int64_t last_ms(const Stretch& s, std::int64_t interval) {
  return s.first_ms + static_cast<std::int64_t>(s.count - 1) * interval;
}

std::uint8_t grow(std::uint8_t run, std::uint32_t by) {
  return static_cast<std::uint8_t>(std::min<std::uint32_t>(run + std::min(by, 16U), kRunTicks));
}

}  // namespace

RunState advance(RunState s, std::int64_t slot_ms, std::uint32_t count, Outcome outcome,
                 const RunRule& rule) {
  s.newest = outcome;
  s.newest_ms = slot_ms + static_cast<std::int64_t>(count - 1) * rule.interval_ms;
  if (!counts(outcome)) return s;
  if (s.counted_ms != RunState::kNever && slot_ms - s.counted_ms > kRunTicks * rule.interval_ms) {
    s.held = Ballot::kNone;
    s.failing = s.passing = 0;
  }
  s.counted_ms = s.newest_ms;
  if (outcome == Outcome::kDown) {
    s.passing = 0;
    s.failing = grow(s.failing, count);
    if (s.failing >= rule.open_after) s.held = Ballot::kDown;
  } else {
    s.failing = 0;
    s.passing = grow(s.passing, count);
    if (s.held != Ballot::kDown || s.passing >= rule.close_after) {
      s.held = outcome == Outcome::kUp ? Ballot::kUp : Ballot::kDegraded;
    }
  }
  return s;
}

SampleLog::Put SampleLog::put(std::int64_t slot_ms, std::uint32_t count, Outcome outcome,
                              const RunRule& rule) {
  CHECK(count >= 1 && rule.interval_ms > 0);
  const std::int64_t interval = rule.interval_ms;
  if (horizon_ms_ != RunState::kNever && slot_ms <= horizon_ms_) {
    const auto behind = static_cast<std::uint32_t>(
        std::min<std::int64_t>((horizon_ms_ - slot_ms) / interval + 1, count));
    slot_ms += behind * interval;
    count -= behind;
    if (count == 0) return Put::kIgnored;
  }
  if (slot_ms > tip_.newest_ms) {
    if (!stretches_.empty() && stretches_.back().outcome == outcome &&
        last_ms(stretches_.back(), interval) + interval == slot_ms) {
      stretches_.back().count += count;
    } else {
      stretches_.push_back({slot_ms, count, outcome});
      trim(rule);
    }
    tip_ = advance(tip_, slot_ms, count, outcome, rule);
    return Put::kAppended;
  }

  // Split whatever the new samples fall into, so that they lie between stretches.
  const std::vector<Stretch> before = stretches_;
  std::int64_t cursor = slot_ms;
  std::uint32_t left = count;
  for (std::size_t i = 0; i < stretches_.size() && left > 0; ++i) {
    const Stretch s = stretches_[i];
    const std::int64_t s_last = last_ms(s, interval);
    if (s_last < cursor) continue;
    if (cursor < s.first_ms) {
      const auto room = static_cast<std::uint32_t>(
          std::min<std::int64_t>((s.first_ms - cursor + interval - 1) / interval, left));
      insert_free(cursor, room, outcome, interval);
      cursor += room * interval;
      left -= room;
      i = static_cast<std::size_t>(-1);  // Stretches moved; start over (bounded by the free gaps).
      continue;
    }
    // cursor lies inside [first, last].
    const std::int64_t into = cursor - s.first_ms;
    const bool occupied = into % interval == 0;
    if (occupied && !(counts(outcome) && !counts(s.outcome))) {
      const auto skip = static_cast<std::uint32_t>(
          std::min<std::int64_t>((s_last - cursor) / interval + 1, left));
      cursor += skip * interval;
      left -= skip;
      continue;
    }
    const auto n_left = static_cast<std::uint32_t>((into + interval - 1) / interval);
    std::vector<Stretch> parts;
    if (n_left > 0) parts.push_back({s.first_ms, n_left, s.outcome});
    const std::uint32_t n_skip = n_left + (occupied ? 1 : 0);
    if (n_skip < s.count) {
      parts.push_back({s.first_ms + n_skip * interval, s.count - n_skip, s.outcome});
    }
    stretches_.erase(stretches_.begin() + static_cast<std::ptrdiff_t>(i));
    stretches_.insert(stretches_.begin() + static_cast<std::ptrdiff_t>(i), parts.begin(),
                      parts.end());
    insert_free(cursor, 1, outcome, interval);
    cursor += interval;
    --left;
    i = static_cast<std::size_t>(-1);
  }
  if (left > 0) insert_free(cursor, left, outcome, interval);
  if (stretches_ == before) return Put::kIgnored;
  trim(rule);
  recount(rule);
  return Put::kRewritten;
}

void SampleLog::insert_free(std::int64_t slot_ms, std::uint32_t count, Outcome outcome,
                            std::int64_t interval) {
  auto next = std::upper_bound(stretches_.begin(), stretches_.end(), slot_ms,
                               [](std::int64_t t, const Stretch& s) { return t < s.first_ms; });
  const bool joins_next = next != stretches_.end() && next->outcome == outcome &&
                          slot_ms + count * interval == next->first_ms;
  if (next != stretches_.begin()) {
    const auto prev = std::prev(next);
    if (prev->outcome == outcome && last_ms(*prev, interval) + interval == slot_ms) {
      prev->count += count;
      if (joins_next) {
        prev->count += next->count;
        stretches_.erase(next);
      }
      return;
    }
  }
  if (joins_next) {
    next->first_ms = slot_ms;
    next->count += count;
    return;
  }
  stretches_.insert(next, {slot_ms, count, outcome});
}

void SampleLog::trim(const RunRule& rule) {
  while (stretches_.size() > kStretchesMax) {
    const Stretch& oldest = stretches_.front();
    base_ = advance(base_, oldest.first_ms, oldest.count, oldest.outcome, rule);
    horizon_ms_ = base_.newest_ms;
    stretches_.erase(stretches_.begin());
  }
}

void SampleLog::recount(const RunRule& rule) {
  tip_ = base_;
  for (const Stretch& s : stretches_) tip_ = advance(tip_, s.first_ms, s.count, s.outcome, rule);
}

std::vector<BallotSpan> SampleLog::spans(const RunRule& rule) const {
  std::vector<BallotSpan> out;
  RunState state = base_;
  if (base_.newest_ms != RunState::kNever) {
    out.push_back({base_.newest_ms, base_.newest_ms, base_.ballot()});
  }
  for (const Stretch& s : stretches_) {
    // A vote turns at most once inside a stretch, within the first kRunTicks samples.
    const std::uint32_t single = std::min<std::uint32_t>(s.count, kRunTicks);
    for (std::uint32_t i = 0; i < single; ++i) {
      const std::int64_t slot = s.first_ms + i * rule.interval_ms;
      state = advance(state, slot, 1, s.outcome, rule);
      if (i == 0 || out.back().ballot != state.ballot()) {
        out.push_back({slot, slot, state.ballot()});
      } else {
        out.back().last_ms = slot;
      }
    }
    if (single < s.count) {
      state =
          advance(state, s.first_ms + single * rule.interval_ms, s.count - single, s.outcome, rule);
      out.back().last_ms = state.newest_ms;
    }
  }
  return out;
}

std::optional<std::int64_t> SampleLog::failing_since(std::int64_t at_ms) const {
  std::optional<std::int64_t> since;
  for (auto it = stretches_.rbegin(); it != stretches_.rend(); ++it) {
    if (it->first_ms > at_ms || !counts(it->outcome)) continue;
    if (it->outcome != Outcome::kDown) break;
    since = it->first_ms;
  }
  return since;
}

void SampleLog::encode(ByteWriter& out) const {
  out.u64(static_cast<std::uint64_t>(horizon_ms_));
  out.u8(static_cast<std::uint8_t>(base_.held));
  out.u8(base_.failing);
  out.u8(base_.passing);
  out.u8(static_cast<std::uint8_t>(base_.newest));
  out.u64(static_cast<std::uint64_t>(base_.newest_ms));
  out.u64(static_cast<std::uint64_t>(base_.counted_ms));
  out.u16(static_cast<std::uint16_t>(stretches_.size()));
  for (const Stretch& s : stretches_) {
    out.u64(static_cast<std::uint64_t>(s.first_ms));
    out.u32(s.count);
    out.u8(static_cast<std::uint8_t>(s.outcome));
  }
}

SampleLog SampleLog::decode(ByteReader& in, const RunRule& rule) {
  SampleLog log;
  log.horizon_ms_ = static_cast<std::int64_t>(in.u64());
  log.base_.held = static_cast<Ballot>(in.u8());
  log.base_.failing = in.u8();
  log.base_.passing = in.u8();
  log.base_.newest = static_cast<Outcome>(in.u8());
  log.base_.newest_ms = static_cast<std::int64_t>(in.u64());
  log.base_.counted_ms = static_cast<std::int64_t>(in.u64());
  const std::uint16_t n = in.u16();
  for (std::uint16_t i = 0; i < n && in.ok(); ++i) {
    Stretch s;
    s.first_ms = static_cast<std::int64_t>(in.u64());
    s.count = in.u32();
    s.outcome = static_cast<Outcome>(in.u8());
    log.stretches_.push_back(s);
  }
  log.recount(rule);
  return log;
}

}  // namespace tocsin::collector

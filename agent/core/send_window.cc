#include "agent/core/send_window.h"

#include <algorithm>

namespace tocsin::agent {

const char* to_string(AckVerdict verdict) {
  switch (verdict) {
    case AckVerdict::kGood:
      return "good";
    case AckVerdict::kUnknownStream:
      return "unknown_stream";
    case AckVerdict::kStale:
      return "stale";
    case AckVerdict::kFork:
      return "fork";
  }
  return "?";
}

void SendWindow::link_down() {
  linked_ = false;
  streams_.clear();
}

/// W2 and W3. The genesis of seq 0 needs no proof.
AckVerdict SendWindow::verify(const StreamAck& ack) const {
  if (ack.high_water == 0) return AckVerdict::kGood;
  const auto ours = spool_.digest_of(ack.stream, ack.high_water);
  if (!ours || *ours != ack.digest) return AckVerdict::kFork;
  return AckVerdict::kGood;
}

std::vector<StreamId> SendWindow::welcome(const std::vector<StreamAck>& streams, MonoTime now) {
  linked_ = true;
  streams_.clear();
  std::vector<StreamId> forked;
  for (const StreamAck& ack : streams) {
    const auto first = spool_.frames_after(ack.stream, ack.high_water, 1);
    // W6: the next frame must be the one after the high water, or a Gap around it.
    const bool hole = !first.empty() && first.front().first > ack.high_water + 1;
    if (verify(ack) == AckVerdict::kFork || hole) {
      forked.push_back(ack.stream);
      continue;
    }
    State& state = streams_[ack.stream];
    state.open = true;
    state.high_water = state.sent = ack.high_water;
    state.credit = ack.credit;
    state.oldest = now;
    state.more = !first.empty();
  }
  // Streams that began after the Hello: the collector has nothing of them.
  for (const StreamOffer& offer : spool_.offers()) {
    const bool known = streams_.contains(offer.stream) ||
                       std::find(forked.begin(), forked.end(), offer.stream) != forked.end();
    if (!known && offer.last > 0) synced({.stream = offer.stream, .first = 1});
  }
  return forked;
}

void SendWindow::advance(State& state, const StreamAck& ack, MonoTime now) {
  state.credit = ack.credit;
  if (ack.high_water <= state.high_water) return;
  state.high_water = ack.high_water;
  state.sent = std::max(state.sent, ack.high_water);
  while (!state.under_way.empty() && state.under_way.front().frame.last <= ack.high_water) {
    state.bytes -= state.under_way.front().frame.size;
    ack_latencies_.add(now - state.under_way.front().at);
    state.under_way.pop_front();
  }
  state.oldest = now;
  state.resent = false;
}

AckVerdict SendWindow::acknowledge(const StreamAck& ack, MonoTime now) {
  const auto at = streams_.find(ack.stream);
  if (at == streams_.end()) return AckVerdict::kUnknownStream;
  if (ack.high_water < at->second.high_water) return AckVerdict::kStale;
  if (verify(ack) == AckVerdict::kFork) return AckVerdict::kFork;
  advance(at->second, ack, now);
  return AckVerdict::kGood;
}

void SendWindow::rewind(const StreamId& stream) {
  const auto at = streams_.find(stream);
  if (at == streams_.end()) return;
  State& state = at->second;
  state.sent = state.high_water;
  state.under_way.clear();
  state.bytes = 0;
  state.more = true;
}

void SendWindow::hold(const StreamId& stream, MonoTime until) {
  const auto at = streams_.find(stream);
  if (at != streams_.end()) at->second.held_until = until;
}

void SendWindow::synced(const FrameRef& frame) {
  if (!linked_) return;
  const auto [at, fresh] = streams_.try_emplace(frame.stream);
  State& state = at->second;
  if (fresh) {
    // A stream that began after the Hello. If the collector has some of it after all, its Nack says
    // so.
    state.open = true;
    state.credit = kFirstCredit;
  }
  state.more = true;
}

void SendWindow::replaced(const FrameRef& gap) {
  const auto at = streams_.find(gap.stream);
  if (at == streams_.end()) return;
  // What was under way of the replaced frames may still be committed; if not, the Gap is.
  if (gap.last > at->second.high_water) rewind(gap.stream);
}

void SendWindow::forget(const StreamId& stream) { streams_.erase(stream); }

std::vector<FrameRef> SendWindow::take(std::size_t limit, MonoTime now) {
  std::vector<FrameRef> out;
  if (!linked_) return out;
  std::vector<std::pair<StreamId, State*>> order;
  for (auto& [id, state] : streams_) {
    if (state.open && state.more && state.held_until <= now) order.emplace_back(id, &state);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    if (a.first.cls != b.first.cls) return a.first.cls < b.first.cls;
    if (a.first.epoch != b.first.epoch) return a.first.epoch > b.first.epoch;
    return a.first < b.first;
  });
  for (auto& [id, state] : order) {
    while (out.size() < limit) {
      const auto frames =
          spool_.frames_after(id, state->sent, std::min(kFetch, limit - out.size()));
      if (frames.empty()) {
        state->more = false;
        break;
      }
      bool full = false;
      for (const FrameRef& frame : frames) {
        if (!state->under_way.empty() && state->bytes + frame.size > state->credit) {
          full = true;
          break;
        }
        if (state->under_way.empty()) state->oldest = now;
        state->under_way.push_back({frame, now});
        state->bytes += frame.size;
        state->sent = frame.last;
        out.push_back(frame);
      }
      if (full) break;
    }
  }
  return out;
}

std::optional<std::vector<StreamId>> SendWindow::overdue(MonoTime now) {
  std::vector<StreamId> again;
  for (auto& [id, state] : streams_) {
    if (state.under_way.empty() || now - state.oldest < kAckWait) continue;
    if (state.resent) return std::nullopt;
    rewind(id);
    state.resent = true;
    again.push_back(id);
  }
  return again;
}

MonoTime SendWindow::next_deadline() const {
  MonoTime next = MonoTime::never();
  for (const auto& [id, state] : streams_) {
    if (!state.under_way.empty()) next = std::min(next, state.oldest + kAckWait);
    if (state.more && state.held_until.us > 0 && state.under_way.empty()) {
      next = std::min(next, state.held_until);
    }
  }
  return next;
}

std::uint64_t SendWindow::unacked_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [id, state] : streams_) sum += state.bytes;
  return sum;
}

std::uint64_t SendWindow::acked(const StreamId& stream) const {
  const auto at = streams_.find(stream);
  return at == streams_.end() ? 0 : at->second.high_water;
}

}  // namespace tocsin::agent

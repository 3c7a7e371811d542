#include "collector/channels/outbox_runner.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/base/digest.h"
#include "common/io/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace tocsin::collector {

namespace {

/// Destinations remembered beside those in use; the longest unused are forgotten.
constexpr std::size_t kDestinationsMax = 1024;
/// For the call into the channel and the record, inside the lease.
constexpr Duration kMargin = std::chrono::seconds{1};

/// What shares a breaker and a lane: where a message goes, not which channel says so.
std::string destination_name(const ChannelSpec& spec) {
  return fmt::format("{}|{}{}", static_cast<int>(spec.type), spec.url, spec.to);
}

/// The same for the same messages, in whatever order.
std::string digest_key(const std::vector<OutboxItem>& items) {
  std::vector<NotificationId> ids;
  for (const OutboxItem& item : items) ids.push_back(item.row.id);
  std::sort(ids.begin(), ids.end());
  Bytes bytes;
  ByteWriter writer(bytes);
  for (const NotificationId& id : ids) writer.bytes(id.bytes);
  return to_hex(digest16(as_bytes(bytes)));
}

/// From when on it is late: a contact method's moment may lie hours after the step.
WallTime wanted_at(const OutboxRow& row) { return std::max(row.created, row.due); }

}  // namespace

Duration outbox_backoff(std::uint32_t attempts, Rng& rng) {
  constexpr std::array<Duration, 5> kSteps{5s, 15s, 45s, 2min, 5min};
  const std::size_t i = std::min<std::size_t>(attempts == 0 ? 0 : attempts - 1, kSteps.size() - 1);
  return rng.between(kSteps.at(i) * 8 / 10, kSteps.at(i) * 12 / 10);
}

struct OutboxRunner::Send {
  std::vector<OutboxItem> items;  ///< One, or those of a digest.
  std::string key;                ///< Of a digest; empty: the message's id.
  MonoTime claimed_at;
  MonoTime started_at;
  std::string destination;
  std::unique_ptr<SendHandle> handle;

  const OutboxRow& first() const { return items.front().row; }
};

OutboxRunner::OutboxRunner(io::EventLoop& loop, Rng& rng, OutboxPort& outbox,
                           std::map<ChannelType, Channel*> channels)
    : loop_(loop),
      rng_(rng),
      outbox_(outbox),
      channels_(std::move(channels)) {}

OutboxRunner::~OutboxRunner() { self_.reset(); }

std::size_t OutboxRunner::room() const {
  const std::size_t used = in_flight_.size() + waiting_;
  return used < kInFlightMax ? kInFlightMax - used : 0;
}

void OutboxRunner::wake() {
  if (draining_) return;
  if (claiming_) {
    again_ = true;
    return;
  }
  claim();
}

void OutboxRunner::drain() {
  draining_ = true;
  look_.reset();
  for (auto& [name, destination] : destinations_) {
    stats_.lapsed += destination.waiting.size();
    waiting_ -= destination.waiting.size();
    destination.waiting.clear();
  }
}

bool OutboxRunner::idle() const {
  return in_flight_.empty() && waiting_ == 0 && recording_ == 0 && !claiming_;
}

OutboxStats OutboxRunner::stats() const {
  OutboxStats out = stats_;
  out.in_flight = in_flight_.size();
  return out;
}

void OutboxRunner::claim() {
  const std::size_t limit = room();
  if (limit == 0) return;  // Looks again when a send ends.
  claiming_ = true;
  again_ = false;
  look_.reset();
  const Now now = loop_.now();
  outbox_.claim(
      now.wall, limit, kLease,
      [weak = std::weak_ptr{self_}, at = now.mono, limit](Expected<std::vector<OutboxItem>> items) {
        if (const auto self = weak.lock()) (*self)->on_claimed(std::move(items), at, limit);
      });
}

void OutboxRunner::on_claimed(Expected<std::vector<OutboxItem>> items, MonoTime asked_at,
                              std::size_t limit) {
  claiming_ = false;
  if (!items) {
    ++stats_.store_errors;
    log::warning("outbox cannot be read", {{"because", items.error()}});
    return look_after(kLookEvery);
  }
  if (draining_) {
    stats_.lapsed += items->size();
    return;
  }
  const bool more = items->size() >= limit || again_;
  std::vector<std::string> touched;
  for (OutboxItem& item : *items) {
    // The machine slept through the lease: the send under way goes on under the new claim.
    if (const auto it = carried_.find(item.row.id); it != carried_.end()) {
      for (OutboxItem& carried : in_flight_.at(it->second)->items) {
        if (carried.row.id == item.row.id) carried.token = item.token;
      }
      continue;
    }
    auto send = std::make_unique<Send>();
    send->destination = destination_name(item.row.destination);
    send->claimed_at = asked_at;
    send->items.push_back(std::move(item));
    Destination& destination = destinations_[send->destination];
    destination.used = loop_.now().mono;
    if (std::find(touched.begin(), touched.end(), send->destination) == touched.end()) {
      touched.push_back(send->destination);
    }
    destination.waiting.push_back(std::move(send));
    ++waiting_;
  }
  for (const std::string& name : touched) {
    advance(name);
    hand_back_surplus(destinations_.at(name));
  }
  forget_idle_destinations();
  if (more && room() > 0) return claim();
  ask_next();
}

void OutboxRunner::ask_next() {
  outbox_.next_at([weak = std::weak_ptr{self_}](const Expected<std::optional<WallTime>>& next) {
    const auto self = weak.lock();
    if (!self) return;
    OutboxRunner& runner = **self;
    if (!next) {
      ++runner.stats_.store_errors;
      return runner.look_after(kLookEvery);
    }
    if (!*next) return runner.look_after(kLookEvery);
    runner.look_after(**next - runner.loop_.now().wall);
  });
}

void OutboxRunner::look_after(Duration delay) {
  if (draining_ || claiming_) return;
  delay = std::clamp<Duration>(delay, kLookAtMost, kLookEvery);
  const MonoTime due = loop_.now().mono + delay;
  if (look_ && look_->armed() && look_->due() <= due) return;
  look_ = loop_.at(due, [this] { wake(); });
}

bool OutboxRunner::too_late(const Send& send) const {
  return loop_.now().mono + kSendDeadline + kMargin > send.claimed_at + kLease ||
         carried_.contains(send.first().id);
}

void OutboxRunner::advance(const std::string& name) {
  Destination& destination = destinations_.at(name);
  while (!destination.waiting.empty() && destination.in_flight < kPerDestinationMax) {
    const OutboxRow& next = destination.waiting.front()->first();
    const auto channel = channels_.find(next.destination.type);
    const bool gathers = channel != channels_.end() && channel->second->digest_max() > 0 &&
                         destination.singly_until <= loop_.now().mono;
    if (gathers && advance_digest(name, *channel->second)) continue;
    std::unique_ptr<Send> send = std::move(destination.waiting.front());
    destination.waiting.pop_front();
    --waiting_;
    if (too_late(*send)) {
      ++stats_.lapsed;
      continue;
    }
    if (const std::optional<Duration> wait = destination.breaker.hold(loop_.now().mono)) {
      ++stats_.held;
      const std::string why = "the destination failed several times in a row";
      hold(*send, *wait, why);
      if (on_outcome_) on_outcome_(send->first(), DeliveryOutcome::kHeld, why);
      continue;
    }
    if (in_turn(destination, *send, gathers)) begin(name, std::move(send));
  }
}

bool OutboxRunner::advance_digest(const std::string& name, Channel& channel) {
  Destination& destination = destinations_.at(name);
  const MonoTime now = loop_.now().mono;
  const auto fits = [&](const std::unique_ptr<Send>& send) {
    return send->first().kind != NotificationKind::kTest && !too_late(*send);
  };
  const auto ready = std::count_if(destination.waiting.begin(), destination.waiting.end(), fits);
  if (static_cast<std::size_t>(ready) <= kDigestAbove || destination.breaker.hold(now)) {
    return false;
  }
  const auto lead = std::find_if(destination.waiting.begin(), destination.waiting.end(), fits);
  const SendRate rate = rate_of((*lead)->first().destination);
  const Duration wait = destination.pace.wait(rate, now);
  std::unique_ptr<Send> digest = std::move(*lead);
  auto next = destination.waiting.erase(lead);
  --waiting_;
  const std::size_t most = wait > Duration{0} ? SIZE_MAX : channel.digest_max();
  while (next != destination.waiting.end() && digest->items.size() < most) {
    if (!fits(*next)) {
      ++next;
      continue;
    }
    digest->claimed_at = std::min(digest->claimed_at, (*next)->claimed_at);
    digest->items.push_back(std::move((*next)->items.front()));
    next = destination.waiting.erase(next);
    --waiting_;
  }
  if (wait > Duration{0}) {
    stats_.paced += digest->items.size();
    hold(*digest, wait, fmt::format("{} is its rate", format_rate(rate)));
    return true;
  }
  destination.pace.take(rate, now);
  digest->key = digest_key(digest->items);
  begin(name, std::move(digest));
  return true;
}

bool OutboxRunner::in_turn(Destination& destination, const Send& send, bool gather) {
  const OutboxRow& row = send.first();
  const MonoTime now = loop_.now().mono;
  const SendRate rate = rate_of(row.destination);
  if (const auto place = places_.find(row.id); place != places_.end()) {
    const bool mine = place->second <= now + kLookAtMost;
    places_.erase(place);
    if (mine) return true;
  }
  const Duration wait = destination.pace.wait(rate, now);
  // What may become a digest waits for the same moment; the others stand in line.
  if (wait == Duration{0} || !gather) destination.pace.take(rate, now);
  if (wait == Duration{0}) return true;
  if (!gather) {
    // Ids grow with time: the first is the oldest.
    if (places_.size() >= kPlacesMax) places_.erase(places_.begin());
    places_[row.id] = now + wait;
  }
  ++stats_.paced;
  hold(send, wait, fmt::format("{} is its rate", format_rate(rate)));
  return false;
}

void OutboxRunner::hand_back_surplus(Destination& destination) {
  while (destination.waiting.size() > kWaitingMax) {
    // The newest first, which then wait longest.
    const std::unique_ptr<Send> send = std::move(destination.waiting.back());
    destination.waiting.pop_back();
    --waiting_;
    const std::size_t before = destination.waiting.size() - kWaitingMax;
    hold(*send, kHandBack * (1 + before / kPerDestinationMax), {});
  }
}

void OutboxRunner::hold(const Send& send, Duration retry_in, const std::string& why) {
  for (const OutboxItem& item : send.items) {
    record(send, item, DeliveryOutcome::kHeld, retry_in, 0, why.empty() ? why : "held: " + why);
  }
}

void OutboxRunner::begin(const std::string& name, std::unique_ptr<Send> send) {
  const OutboxRow& row = send->first();
  const auto channel = channels_.find(row.destination.type);
  if (channel == channels_.end()) {
    ++stats_.dead;
    log::error("notification cannot be sent",
               {{"notification", row.id}, {"because", "its channel's type is not known here"}});
    return record(*send, send->items.front(), DeliveryOutcome::kDead, Duration{0}, 0,
                  "its channel's type is not known here");
  }
  Destination& destination = destinations_.at(name);
  ++destination.in_flight;
  send->started_at = loop_.now().mono;
  destination.breaker.on_start(send->started_at);
  const NotificationId id = row.id;
  for (const OutboxItem& item : send->items) carried_[item.row.id] = id;
  Send& kept = *in_flight_.emplace(id, std::move(send)).first->second;
  const auto done = [this, id](const SendResult& result) { on_result(id, result); };
  TOCSIN_CRASH_POINT("outbox.send.before");
  if (kept.key.empty()) {
    kept.handle = channel->second->send(kept.first(), id.str(), kSendDeadline, done);
    return;
  }
  std::vector<const OutboxRow*> rows;
  for (const OutboxItem& item : kept.items) rows.push_back(&item.row);
  kept.handle = channel->second->send_digest(rows, kept.key, kSendDeadline, done);
}

void OutboxRunner::on_result(const NotificationId& id, const SendResult& result) {
  TOCSIN_CRASH_POINT("outbox.send.after");
  const auto it = in_flight_.find(id);
  CHECK(it != in_flight_.end());
  const std::unique_ptr<Send> send = std::move(it->second);
  in_flight_.erase(it);
  for (const OutboxItem& item : send->items) carried_.erase(item.row.id);
  const std::string name = send->destination;
  Destination& destination = destinations_.at(name);
  --destination.in_flight;
  const MonoTime now = loop_.now().mono;
  destination.used = now;
  SendResult judged = result;
  if (judged.kind == SendResult::Kind::kTransient) {
    destination.breaker.on_failure(now);
  } else {
    destination.breaker.on_answer();
  }
  if (!send->key.empty() && judged.kind == SendResult::Kind::kAccepted) ++stats_.digests;
  if (!send->key.empty() && judged.kind == SendResult::Kind::kPermanent) {
    // Perhaps only its size or its form was refused: each is asked for by itself.
    destination.singly_until = now + kDigestPause;
    judged.kind = SendResult::Kind::kTransient;
  }
  std::uint32_t attempts = UINT32_MAX;
  for (const OutboxItem& item : send->items) attempts = std::min(attempts, item.attempts);
  // One for all: what failed together comes back together.
  Duration backoff = outbox_backoff(attempts, rng_);
  if (judged.retry_after) {
    backoff = std::max(backoff, std::min<Duration>(*judged.retry_after, 10min));
  }
  for (const OutboxItem& item : send->items) {
    const DeliveryOutcome outcome = settle(*send, item, judged, backoff);
    if (on_outcome_) on_outcome_(item.row, outcome, judged.detail);
  }
  advance(name);
  // The store may know of more than we had room for, and of resolves that waited for this one.
  wake();
}

DeliveryOutcome OutboxRunner::settle(const Send& send, const OutboxItem& item,
                                     const SendResult& result, Duration backoff) {
  const OutboxRow& row = item.row;
  const WallTime now = loop_.now().wall;
  const auto end = [&](DeliveryOutcome outcome, Duration retry_in) {
    record(send, item, outcome, retry_in, result.status, result.detail);
    return outcome;
  };
  switch (result.kind) {
    case SendResult::Kind::kAccepted: {
      ++stats_.sent;
      const Duration lag = std::max(now - wanted_at(row), Duration{0});
      stats_.lag_us_last = static_cast<std::uint64_t>(lag.count());
      stats_.lag_us_max = std::max(stats_.lag_us_max, stats_.lag_us_last);
      log::info("notification sent", {{"notification", row.id},
                                      {"channel", row.channel},
                                      {"kind", to_string(row.kind)},
                                      {"attempt", item.attempts},
                                      {"digest", send.key},
                                      {"lag", lag}});
      return end(DeliveryOutcome::kSent, Duration{0});
    }
    case SendResult::Kind::kPermanent:
      ++stats_.dead;
      log::error("notification refused for good",
                 {{"notification", row.id}, {"channel", row.channel}, {"because", result.detail}});
      return end(DeliveryOutcome::kDead, Duration{0});
    case SendResult::Kind::kTransient:
      break;
  }
  if (now - wanted_at(row) >= kGiveUpAfter) {
    ++stats_.dead;
    log::error("notification given up", {{"notification", row.id},
                                         {"channel", row.channel},
                                         {"attempts", item.attempts},
                                         {"because", result.detail}});
    return end(DeliveryOutcome::kDead, Duration{0});
  }
  ++stats_.retried;
  log::warning("notification not sent yet", {{"notification", row.id},
                                             {"channel", row.channel},
                                             {"attempt", item.attempts},
                                             {"again_in", backoff},
                                             {"because", result.detail}});
  return end(DeliveryOutcome::kRetry, backoff);
}

void OutboxRunner::record(const Send& send, const OutboxItem& item, DeliveryOutcome outcome,
                          Duration retry_in, int status, std::string detail) {
  const Now now = loop_.now();
  Delivery delivery;
  delivery.notification = item.row.id;
  delivery.token = item.token;
  delivery.attempt = item.attempts;
  delivery.digest = send.key;
  delivery.at = now.wall;
  delivery.outcome = outcome;
  delivery.retry_at = now.wall + retry_in;
  delivery.status = status;
  delivery.detail = std::move(detail);
  if (send.started_at.us != 0) {
    delivery.duration_ms = static_cast<std::uint32_t>((now.mono - send.started_at).count() / 1000);
  }
  ++recording_;
  outbox_.record(delivery, [weak = std::weak_ptr{self_},
                            id = delivery.notification](const Expected<bool>& recorded) {
    const auto self = weak.lock();
    if (!self) return;
    OutboxRunner& runner = **self;
    --runner.recording_;
    if (!recorded) {
      // The claim lapses and the message is sent once more: at least once.
      ++runner.stats_.store_errors;
      log::warning("delivery not recorded", {{"notification", id}, {"because", recorded.error()}});
    } else if (!*recorded) {
      log::warning("delivery of a lapsed claim", {{"notification", id}});
    }
  });
}

void OutboxRunner::forget_idle_destinations() {
  while (destinations_.size() > kDestinationsMax) {
    auto oldest = destinations_.end();
    for (auto it = destinations_.begin(); it != destinations_.end(); ++it) {
      if (it->second.in_flight > 0 || !it->second.waiting.empty()) continue;
      if (oldest == destinations_.end() || it->second.used < oldest->second.used) oldest = it;
    }
    if (oldest == destinations_.end()) return;
    destinations_.erase(oldest);
  }
}

}  // namespace tocsin::collector

#include "collector/channels/outbox_runner.h"

#include "common/base/check.h"
#include "common/base/crash_point.h"
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

/// From when on it is late: a contact method's moment may lie hours after the step.
WallTime wanted_at(const OutboxRow& row) { return std::max(row.created, row.due); }

}  // namespace

Duration outbox_backoff(std::uint32_t attempts, Rng& rng) {
  constexpr std::array<Duration, 5> kSteps{5s, 15s, 45s, 2min, 5min};
  const std::size_t i = std::min<std::size_t>(attempts == 0 ? 0 : attempts - 1, kSteps.size() - 1);
  return rng.between(kSteps.at(i) * 8 / 10, kSteps.at(i) * 12 / 10);
}

struct OutboxRunner::Send {
  OutboxItem item;
  MonoTime claimed_at;
  MonoTime started_at;
  std::string destination;
  std::unique_ptr<SendHandle> handle;
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
  for (OutboxItem& item : *items) {
    // The machine slept through the lease: the send under way goes on under the new claim.
    if (const auto it = in_flight_.find(item.row.id); it != in_flight_.end()) {
      it->second->item.token = item.token;
      continue;
    }
    auto send = std::make_unique<Send>();
    send->destination = destination_name(item.row.destination);
    send->claimed_at = asked_at;
    send->item = std::move(item);
    Destination& destination = destinations_[send->destination];
    destination.used = loop_.now().mono;
    if (destination.waiting.size() == kWaitingMax) {
      ++stats_.lapsed;
      continue;
    }
    const std::string name = send->destination;
    destination.waiting.push_back(std::move(send));
    ++waiting_;
    advance(name);
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

void OutboxRunner::advance(const std::string& name) {
  Destination& destination = destinations_.at(name);
  while (!destination.waiting.empty() && destination.in_flight < kPerDestinationMax) {
    std::unique_ptr<Send> send = std::move(destination.waiting.front());
    destination.waiting.pop_front();
    --waiting_;
    const MonoTime now = loop_.now().mono;
    if (now + kSendDeadline + kMargin > send->claimed_at + kLease ||
        in_flight_.contains(send->item.row.id)) {
      ++stats_.lapsed;
      continue;
    }
    if (const std::optional<Duration> hold = destination.breaker.hold(now)) {
      ++stats_.held;
      record(*send, DeliveryOutcome::kRetry, *hold, 0,
             "held: the destination failed several times in a row");
      continue;
    }
    begin(name, std::move(send));
  }
}

void OutboxRunner::begin(const std::string& name, std::unique_ptr<Send> send) {
  const OutboxRow& row = send->item.row;
  const auto channel = channels_.find(row.destination.type);
  if (channel == channels_.end()) {
    ++stats_.dead;
    log::error("notification cannot be sent",
               {{"notification", row.id}, {"because", "its channel's type is not known here"}});
    return record(*send, DeliveryOutcome::kDead, Duration{0}, 0,
                  "its channel's type is not known here");
  }
  Destination& destination = destinations_.at(name);
  ++destination.in_flight;
  send->started_at = loop_.now().mono;
  destination.breaker.on_start(send->started_at);
  const NotificationId id = row.id;
  Send& kept = *in_flight_.emplace(id, std::move(send)).first->second;
  TOCSIN_CRASH_POINT("outbox.send.before");
  kept.handle =
      channel->second->send(kept.item.row, id.str(), kSendDeadline,
                            [this, id](const SendResult& result) { on_result(id, result); });
}

void OutboxRunner::on_result(const NotificationId& id, const SendResult& result) {
  TOCSIN_CRASH_POINT("outbox.send.after");
  const auto it = in_flight_.find(id);
  CHECK(it != in_flight_.end());
  const std::unique_ptr<Send> send = std::move(it->second);
  in_flight_.erase(it);
  const std::string name = send->destination;
  Destination& destination = destinations_.at(name);
  --destination.in_flight;
  const Now now = loop_.now();
  destination.used = now.mono;

  DeliveryOutcome outcome = DeliveryOutcome::kRetry;
  switch (result.kind) {
    case SendResult::Kind::kAccepted: {
      outcome = DeliveryOutcome::kSent;
      destination.breaker.on_answer();
      ++stats_.sent;
      const Duration lag = std::max(now.wall - wanted_at(send->item.row), Duration{0});
      stats_.lag_us_last = static_cast<std::uint64_t>(lag.count());
      stats_.lag_us_max = std::max(stats_.lag_us_max, stats_.lag_us_last);
      log::info("notification sent", {{"notification", id},
                                      {"channel", send->item.row.channel},
                                      {"kind", to_string(send->item.row.kind)},
                                      {"attempt", send->item.attempts},
                                      {"lag", lag}});
      record(*send, DeliveryOutcome::kSent, Duration{0}, result.status, result.detail);
      break;
    }
    case SendResult::Kind::kPermanent:
      outcome = DeliveryOutcome::kDead;
      destination.breaker.on_answer();
      ++stats_.dead;
      log::error(
          "notification refused for good",
          {{"notification", id}, {"channel", send->item.row.channel}, {"because", result.detail}});
      record(*send, DeliveryOutcome::kDead, Duration{0}, result.status, result.detail);
      break;
    case SendResult::Kind::kTransient: {
      destination.breaker.on_failure(now.mono);
      if (now.wall - wanted_at(send->item.row) >= kGiveUpAfter) {
        outcome = DeliveryOutcome::kDead;
        ++stats_.dead;
        log::error("notification given up", {{"notification", id},
                                             {"channel", send->item.row.channel},
                                             {"attempts", send->item.attempts},
                                             {"because", result.detail}});
        record(*send, DeliveryOutcome::kDead, Duration{0}, result.status, result.detail);
        break;
      }
      Duration delay = outbox_backoff(send->item.attempts, rng_);
      if (result.retry_after)
        delay = std::max(delay, std::min<Duration>(*result.retry_after, 10min));
      ++stats_.retried;
      log::warning("notification not sent yet", {{"notification", id},
                                                 {"channel", send->item.row.channel},
                                                 {"attempt", send->item.attempts},
                                                 {"again_in", delay},
                                                 {"because", result.detail}});
      record(*send, DeliveryOutcome::kRetry, delay, result.status, result.detail);
      break;
    }
  }
  if (on_outcome_) on_outcome_(send->item.row, outcome, result.detail);
  advance(name);
  // The store may know of more than we had room for, and of resolves that waited for this one.
  wake();
}

void OutboxRunner::record(const Send& send, DeliveryOutcome outcome, Duration retry_in, int status,
                          std::string detail) {
  const Now now = loop_.now();
  Delivery delivery;
  delivery.notification = send.item.row.id;
  delivery.token = send.item.token;
  delivery.attempt = send.item.attempts;
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

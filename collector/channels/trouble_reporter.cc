#include "collector/channels/trouble_reporter.h"

#include "common/io/log.h"

#include <utility>

namespace tocsin::collector {

TroubleReporter::TroubleReporter(io::EventLoop& loop, EventSink& engine)
    : loop_(loop),
      engine_(engine) {}

void TroubleReporter::on_outcome(const OutboxRow& row, DeliveryOutcome outcome,
                                 const std::string& why) {
  if (outcome == DeliveryOutcome::kSent) {
    failures_.erase(row.id);
    return health(row, true, {});
  }
  const bool dead = outcome == DeliveryOutcome::kDead;
  const bool held = outcome == DeliveryOutcome::kHeld;
  // Ids grow with time: the first is the oldest.
  if (failures_.size() >= kKnownMax && !failures_.contains(row.id)) {
    failures_.erase(failures_.begin());
  }
  std::uint32_t& known = failures_[row.id];
  // What is not even tried has failed as often as it takes.
  const std::uint32_t failed = held && known < kTellAfter ? kTellAfter : known + 1;
  known = failed;
  if (row.kind == NotificationKind::kTrigger && (dead || failed == kTellAfter)) {
    tell(
        DeliveryTrouble{row.id, row.incident, row.channel, row.user, row.more_contacts, dead, why});
  }
  if (dead) failures_.erase(row.id);
  const WallTime now = loop_.now().wall;
  if (channels_.size() >= kKnownMax && !channels_.contains(row.channel)) {
    channels_.erase(channels_.begin());
  }
  Health& state = channels_[row.channel];
  if (!state.failing_since) state.failing_since = now;
  const bool given_up = dead && row.kind != NotificationKind::kTest;
  if (given_up || now - *state.failing_since >= kDeadAfter) health(row, false, why);
}

void TroubleReporter::health(const OutboxRow& row, bool ok, const std::string& why) {
  Health& state = channels_[row.channel];
  const bool told = state.known && state.ok == ok;
  const WallTime since = state.failing_since.value_or(loop_.now().wall);
  if (ok) state.failing_since.reset();
  if (told) return;
  state.known = true;
  state.ok = ok;
  tell(ChannelHealth{row.channel, ok, since, why});
}

void TroubleReporter::tell(Event event) {
  if (waiting_.size() >= kWaitingMax) {
    log::warning("the engine did not hear of a failed delivery", {{"because", "too many wait"}});
    return;
  }
  waiting_.push_back({std::move(event), {}});
  offer();
}

void TroubleReporter::offer() {
  while (!waiting_.empty()) {
    if (!engine_.push(std::move(waiting_.front()))) {
      again_ = loop_.after(kTryEvery, [this] { offer(); });
      return;
    }
    waiting_.pop_front();
  }
}

}  // namespace tocsin::collector

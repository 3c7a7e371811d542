#include "collector/app/query_thread.h"

#include "collector/app/page_history.h"
#include "collector/app/uptime.h"
#include "common/io/log.h"

#include <pthread.h>

#include <algorithm>

namespace tocsin::collector {

QueryThread::QueryThread(Ports ports)
    : ports_(std::move(ports)),
      thread_([this] { loop(); }) {}

QueryThread::~QueryThread() {
  told_.close();
  thread_.join();
}

void QueryThread::set_monitors(std::vector<MonitorId> monitors) {
  // Full: it has not looked for a while, and will be told again with the next change.
  if (!told_.push(Order{std::move(monitors)})) log::debug("the list of monitors was not taken");
}

void QueryThread::incidents_changed() {
  if (!told_.push(LookBack{})) log::debug("the change of incidents was not taken");
}

bool QueryThread::try_read(Job&& job) {
  if (!ports_.reader) return false;
  Order order{std::move(job)};
  if (told_.push(std::move(order))) return true;
  // NOLINTNEXTLINE(bugprone-use-after-move): a mailbox without room leaves the value alone.
  job = std::get<Job>(std::move(order));
  return false;
}

void QueryThread::loop() {
  ::pthread_setname_np(::pthread_self(), "query");
  maintain_at_ = roll_up_at_ = fold_at_ = ports_.clock.now().mono;
  while (!told_.closed()) {
    const MonoTime next = std::min({maintain_at_, roll_up_at_, fold_at_, look_back_at_});
    if (auto order = told_.pop(std::max(Duration{0}, next - ports_.clock.now().mono))) {
      take(*std::move(order));
    }
    const MonoTime now = ports_.clock.now().mono;
    if (now >= maintain_at_) {
      if (ports_.maintain) ports_.maintain();
      maintain_at_ = now + kMaintainEvery;
    }
    if (now >= roll_up_at_) {
      const bool more = ports_.roll_up && ports_.roll_up();
      roll_up_at_ = now + (more ? kMaintainEvery : kRollUpEvery);
    }
    if (now >= fold_at_) {
      if (ports_.reader) fold();
      fold_at_ = now + kUptimeEvery;
      look_back_at_ = now;
    }
    if (now >= look_back_at_) {
      if (ports_.reader) look_back();
      look_back_at_ = MonoTime::never();
    }
  }
}

void QueryThread::take(Order order) {
  if (auto* job = std::get_if<Job>(&order)) {
    (*job)(*ports_.reader);
  } else if (std::holds_alternative<LookBack>(order)) {
    look_back_at_ = std::min(look_back_at_, ports_.clock.now().mono + kHistoryAfter);
  } else {
    monitors_ = std::get<std::vector<MonitorId>>(std::move(order));
    fold_at_ = ports_.clock.now().mono;
  }
}

void QueryThread::fold() {
  auto table = std::make_shared<UptimeTable>();
  const WallTime now = ports_.clock.now().wall;
  last_known_.clear();
  for (const MonitorId& monitor : monitors_) {
    if (told_.closed()) return;
    auto verdicts = ports_.reader->verdicts(monitor, WallTime{0}, now);
    if (!verdicts) {
      log::warning("uptime cannot be read", {{"monitor", monitor}, {"error", verdicts.error()}});
      continue;
    }
    const MonitorStatus known = last_known_status(*verdicts);
    if (known != MonitorStatus::kNew) last_known_[monitor] = known;
    (*table)[monitor] = fold_uptime(*std::move(verdicts), now, kUptimeDays);
  }
  ports_.publish(std::move(table));
}

void QueryThread::look_back() {
  auto incidents = read_past_incidents(*ports_.reader, ports_.clock.now().wall);
  if (!incidents) {
    log::warning("past incidents cannot be read", {{"error", incidents.error()}});
    return;
  }
  auto history = std::make_shared<PageHistory>();
  history->incidents = *std::move(incidents);
  history->last_known = last_known_;
  ports_.publish_history(std::move(history));
}

}  // namespace tocsin::collector

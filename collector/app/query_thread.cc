#include "collector/app/query_thread.h"

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

bool QueryThread::try_read(Job&& job) {
  if (!ports_.reader) return false;
  Order order{std::move(job)};
  if (told_.push(std::move(order))) return true;
  job = std::get<Job>(std::move(order));
  return false;
}

void QueryThread::loop() {
  ::pthread_setname_np(::pthread_self(), "query");
  MonoTime maintain_at = ports_.clock.now().mono;
  MonoTime fold_at = maintain_at;
  while (!told_.closed()) {
    const MonoTime next = std::min(maintain_at, fold_at);
    if (auto order = told_.pop(std::max(Duration{0}, next - ports_.clock.now().mono))) {
      if (auto* job = std::get_if<Job>(&*order)) {
        (*job)(*ports_.reader);
      } else {
        monitors_ = std::get<std::vector<MonitorId>>(*std::move(order));
        fold_at = ports_.clock.now().mono;
      }
    }
    const MonoTime now = ports_.clock.now().mono;
    if (now >= maintain_at) {
      if (ports_.maintain) ports_.maintain();
      maintain_at = now + kMaintainEvery;
    }
    if (now >= fold_at) {
      if (ports_.reader) fold();
      fold_at = now + kUptimeEvery;
    }
  }
}

void QueryThread::fold() {
  auto table = std::make_shared<UptimeTable>();
  const WallTime now = ports_.clock.now().wall;
  for (const MonitorId& monitor : monitors_) {
    if (told_.closed()) return;
    auto verdicts = ports_.reader->verdicts(monitor, WallTime{0}, now);
    if (!verdicts) {
      log::warning("uptime cannot be read", {{"monitor", monitor}, {"error", verdicts.error()}});
      continue;
    }
    (*table)[monitor] = fold_uptime(*std::move(verdicts), now, kUptimeDays);
  }
  ports_.publish(std::move(table));
}

}  // namespace tocsin::collector

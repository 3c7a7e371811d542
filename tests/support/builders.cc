#include "tests/support/builders.h"

#include "common/base/hash.h"

namespace tocsin::test {

MonitorBuilder::MonitorBuilder(std::string key) {
  spec_.id = an_id<MonitorId>(fnv1a64(key));
  spec_.name = key;
  spec_.key = std::move(key);
  HttpTarget target;
  target.url = "http://127.0.0.1:7480/";
  spec_.probe.target = target;
  spec_.confirm = false;
  every(30s);
}

MonitorBuilder& MonitorBuilder::id(MonitorId v) {
  spec_.id = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::every(Duration v) {
  spec_.probe.interval = v;
  spec_.probe.timeout = default_timeout(v);
  spec_.probe.retry.delay = default_retry_delay(v);
  return *this;
}

MonitorBuilder& MonitorBuilder::timeout(Duration v) {
  spec_.probe.timeout = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::retries(int v) {
  spec_.probe.retry.retries = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::from(std::vector<std::string> regions) {
  spec_.regions = std::move(regions);
  return *this;
}

MonitorBuilder& MonitorBuilder::quorum(QuorumRule v) {
  spec_.quorum = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::open_after(int v) {
  spec_.open_after = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::close_after(int v) {
  spec_.close_after = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::confirm(bool v) {
  spec_.confirm = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::page_on_degraded(bool v) {
  spec_.page_on_degraded = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::paused(bool v) {
  spec_.paused = v;
  return *this;
}

MonitorBuilder& MonitorBuilder::service(std::string v) {
  spec_.service = std::move(v);
  return *this;
}

MonitorBuilder& MonitorBuilder::target(Target v) {
  spec_.probe.target = std::move(v);
  return *this;
}

MonitorBuilder a_monitor(std::string key) { return MonitorBuilder{std::move(key)}; }

collector::ChannelSpec a_channel(const std::string& key) {
  return {an_id<ChannelId>(fnv1a64(key)), key, collector::ChannelType::kWebhook,
          "http://127.0.0.1:7499/" + key, ""};
}

collector::PolicySpec a_policy(const std::string& key,
                               const std::vector<std::pair<Duration, std::string>>& steps) {
  collector::PolicySpec policy;
  policy.id = an_id<PolicyId>(fnv1a64(key));
  policy.key = key;
  for (const auto& [delay, channel] : steps) policy.steps.push_back({delay, {{channel}}});
  return policy;
}

collector::RegionSpec a_region(const std::string& key) { return {key, key}; }

collector::ServiceSpec a_service(const std::string& key, const std::string& policy) {
  return {an_id<ServiceId>(fnv1a64(key)), key, key, policy};
}

}  // namespace tocsin::test

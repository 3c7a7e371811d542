#pragma once
// Question answered here: how does a test say only what matters of a monitor or a policy?

#include "collector/core/catalog.h"
#include "common/model/monitor_spec.h"

#include <string>
#include <utility>
#include <vector>

namespace tocsin::test {

/// An id that is the same for the same number.
template <class AnyId>
AnyId an_id(std::uint64_t number) {
  AnyId id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  }
  id.bytes[6] = 0x70;
  id.bytes[8] = 0x80;
  return id;
}

class MonitorBuilder {
 public:
  explicit MonitorBuilder(std::string key);

  MonitorBuilder& id(MonitorId v);
  MonitorBuilder& every(Duration v);  ///< Sets timeout and retry delay to their defaults as well.
  MonitorBuilder& timeout(Duration v);
  MonitorBuilder& retries(int v);
  MonitorBuilder& from(std::vector<std::string> regions);
  MonitorBuilder& quorum(QuorumRule v);
  MonitorBuilder& open_after(int v);
  MonitorBuilder& close_after(int v);
  MonitorBuilder& confirm(bool v);
  MonitorBuilder& page_on_degraded(bool v = true);
  MonitorBuilder& paused(bool v = true);
  MonitorBuilder& service(std::string v);
  MonitorBuilder& target(Target v);

  MonitorSpec build() const { return spec_; }

 private:
  MonitorSpec spec_;
};

/// A valid HTTP monitor every 30 s, 3 retries, all regions, majority, without confirm runs.
MonitorBuilder a_monitor(std::string key);

collector::ChannelSpec a_channel(const std::string& key);

/// Steps of (delay, channel).
collector::PolicySpec a_policy(const std::string& key,
                               const std::vector<std::pair<Duration, std::string>>& steps);

collector::RegionSpec a_region(const std::string& key);

collector::ServiceSpec a_service(const std::string& key, const std::string& policy);

}  // namespace tocsin::test

#include "collector/channels/outbox_metrics.h"

#include <string_view>

namespace tocsin::collector {

void publish_outbox_stats(io::Metrics& m, const OutboxStats& s) {
  constexpr std::string_view kName = "tocsin_outbox_deliveries_total";
  constexpr std::string_view kHelp = "Tries to deliver a notification, by what became of them";
  const auto deliveries = [&](const char* outcome, std::uint64_t value) {
    m.counter(kName, kHelp, {{"outcome", outcome}}).raise_to(static_cast<double>(value));
  };
  deliveries("sent", s.sent);
  deliveries("retry", s.retried);
  deliveries("dead", s.dead);
  deliveries("held", s.held);
  deliveries("paced", s.paced);
  deliveries("lapsed", s.lapsed);
  m.counter("tocsin_outbox_digests_total", "Messages sent in place of several")
      .raise_to(static_cast<double>(s.digests));
  m.counter("tocsin_outbox_store_errors_total", "Claims or records that the store did not answer")
      .raise_to(static_cast<double>(s.store_errors));
  m.gauge("tocsin_outbox_in_flight", "Notifications being sent")
      .set(static_cast<double>(s.in_flight));
  m.gauge("tocsin_outbox_lag_seconds", "Creation to acceptance of the last notification sent")
      .set(static_cast<double>(s.lag_us_last) / 1e6);
  m.gauge("tocsin_outbox_lag_max_seconds", "The longest such time since the start")
      .set(static_cast<double>(s.lag_us_max) / 1e6);
}

}  // namespace tocsin::collector

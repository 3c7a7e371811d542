#include "collector/api/engine_metrics.h"

#include <string_view>

namespace tocsin::collector {

namespace {

void total(io::Metrics& m, std::string_view name, std::string_view help, std::uint64_t value,
           const io::Labels& labels = {}) {
  m.counter(name, help, labels).raise_to(static_cast<double>(value));
}

void level(io::Metrics& m, std::string_view name, std::string_view help, std::uint64_t value) {
  m.gauge(name, help).set(static_cast<double>(value));
}

}  // namespace

void publish_engine_stats(io::Metrics& m, const EngineStats& s) {
  total(m, "tocsin_engine_frames_total", "Frames taken from agents", s.frames);
  total(m, "tocsin_engine_frames_nacked_total", "Frames refused because one before was missing",
        s.frames_nacked);
  total(m, "tocsin_engine_forks_total", "Streams seen with two histories", s.forks);
  total(m, "tocsin_engine_results_total", "Results stored", s.results_stored);
  total(m, "tocsin_engine_results_late_total", "Results too late to page", s.results_late);
  total(m, "tocsin_engine_results_missed_total", "Slots that agents could not run",
        s.results_missed);
  total(m, "tocsin_engine_gaps_total", "Gaps that agents declared", s.gaps);
  total(m, "tocsin_engine_results_gapped_total", "Results lost in declared gaps", s.results_gapped);

  constexpr std::string_view kRefused = "tocsin_engine_results_refused_total";
  constexpr std::string_view kRefusedHelp = "Results not stored, by reason";
  total(m, kRefused, kRefusedHelp, s.refused_too_old, {{"reason", "too_old"}});
  total(m, kRefused, kRefusedHelp, s.refused_future, {{"reason", "future"}});
  total(m, kRefused, kRefusedHelp, s.refused_unassigned, {{"reason", "unassigned"}});
  total(m, kRefused, kRefusedHelp, s.refused_duplicate, {{"reason", "duplicate"}});
  total(m, kRefused, kRefusedHelp, s.refused_quarantined, {{"reason", "quarantined"}});

  total(m, "tocsin_engine_suspicions_total", "First failed attempts that agents told of",
        s.suspicions);
  total(m, "tocsin_engine_confirms_total", "Confirm runs asked for", s.confirms_asked);
  total(m, "tocsin_engine_confirms_refused_total", "Confirm runs not asked for: over the budget",
        s.confirms_refused);
  total(m, "tocsin_engine_verdicts_total", "Changes of a verdict", s.verdicts);
  total(m, "tocsin_engine_incidents_opened_total", "Incidents opened", s.incidents_opened);
  total(m, "tocsin_engine_incidents_resolved_total", "Incidents resolved", s.incidents_resolved);
  total(m, "tocsin_engine_notifications_total", "Notifications put into the outbox",
        s.notifications);

  level(m, "tocsin_engine_series", "Series being measured", s.series);
  level(m, "tocsin_engine_monitors", "Monitors", s.monitors);
  level(m, "tocsin_engine_open_incidents", "Incidents not resolved", s.open_incidents);
  level(m, "tocsin_engine_live_agents", "Agents with a live connection", s.live_agents);
}

void publish_http_stats(io::Metrics& m, const io::HttpServerStats& s) {
  total(m, "tocsin_http_connections_total", "HTTP connections accepted", s.accepted);
  level(m, "tocsin_http_connections", "HTTP connections open", s.open);
  total(m, "tocsin_http_requests_total", "HTTP requests handled", s.requests);
  total(m, "tocsin_http_refused_total", "HTTP requests refused as malformed or too large",
        s.refused);
  total(m, "tocsin_http_timeouts_total", "HTTP requests or answers that took too long",
        s.timed_out);
  total(m, "tocsin_http_displaced_total",
        "Connections without a request that were closed to make room for new ones", s.displaced);
  total(m, "tocsin_http_accept_pauses_total", "Times accepting paused: at the bound",
        s.accept_pauses);
  total(m, "tocsin_http_turned_away_total",
        "HTTP connections closed at once: their address had its share already", s.turned_away);
  total(m, "tocsin_http_tls_failed_total", "TLS handshakes that came to nothing", s.tls_failed);
  level(m, "tocsin_http_unsent_bytes", "Answers that wait for slow readers", s.unsent_bytes);
  level(m, "tocsin_http_arriving_bytes", "Bodies of requests that are arriving", s.body_bytes);
  level(m, "tocsin_http_streams", "Streams of events open", s.streams);
  level(m, "tocsin_http_streams_buffered_bytes", "Events that wait for slow readers",
        s.stream_bytes);
  total(m, "tocsin_http_streams_cut_total",
        "Streams closed at a bound, or because of a slow reader", s.streams_cut);
  total(m, "tocsin_http_deferred_total", "Times a connection waited for a later turn", s.deferred);
  level(m, "tocsin_http_turn_cost_max_bytes",
        "The dearest turn, in bytes read (a request counts 4 KiB)", s.turn_cost_max);
}

}  // namespace tocsin::collector

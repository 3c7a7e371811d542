#include "collector/app/collector_metrics.h"

namespace tocsin::collector {
namespace {

void total(io::Metrics& m, std::string_view name, std::string_view help, std::uint64_t value,
           const io::Labels& labels = {}) {
  m.counter(name, help, labels).raise_to(static_cast<double>(value));
}

void level(io::Metrics& m, std::string_view name, std::string_view help, double value,
           const io::Labels& labels = {}) {
  m.gauge(name, help, labels).set(value);
}

double seconds(std::uint64_t us) { return static_cast<double>(us) / 1e6; }

}  // namespace

void publish_ingest_stats(io::Metrics& m, const IngestStats& s) {
  for (std::size_t i = 0; i < kRejectionCount; ++i) {
    total(m, "tocsin_ingest_rejected_total", "Keys, connections and messages turned away",
          s.rejected[i], {{"reason", to_string(static_cast<Rejection>(i))}});
  }
  total(m, "tocsin_ingest_accepted_total", "TCP connections of agents", s.accepted);
  total(m, "tocsin_ingest_disconnected_total", "Connections of agents that ended", s.disconnected);
  total(m, "tocsin_ingest_admitted_total", "Keys let in", s.admitted);
  total(m, "tocsin_ingest_messages_total", "Messages of agents, frames included", s.messages);
  total(m, "tocsin_ingest_frames_total", "Frames handed to the engine", s.frames);
  total(m, "tocsin_ingest_frame_bytes_total", "Bytes of those frames", s.frame_bytes);
  total(m, "tocsin_ingest_sent_total", "Messages sent to agents", s.sent);
  total(m, "tocsin_ingest_unsent_total", "Messages whose agent had gone", s.unsent);
  total(m, "tocsin_ingest_paused_total", "Times reading stopped because the engine was full",
        s.paused);
  total(m, "tocsin_ingest_strangers_cut_total",
        "Connections of agents that were cut for want of room, having said nothing",
        s.strangers_cut);
  level(m, "tocsin_ingest_open_connections", "Connections of agents, those of strangers included",
        static_cast<double>(s.open));
  level(m, "tocsin_ingest_connections", "Connections that have spoken",
        static_cast<double>(s.connections));
}

void publish_thread_stats(io::Metrics& m, const EngineThreadStats& s) {
  level(m, "tocsin_store_writable", "1 while what is decided can be stored", s.storing ? 1 : 0);
  total(m, "tocsin_engine_groups_total", "Groups stepped", s.groups);
  total(m, "tocsin_engine_events_total", "Events stepped", s.events);
  total(m, "tocsin_engine_events_dropped_total",
        "Events forgotten because they could not be stored; agents send them again", s.dropped);
  total(m, "tocsin_engine_restores_total", "Times the engine was restored from the store",
        s.restores);
  level(m, "tocsin_engine_inbox", "Events waiting", static_cast<double>(s.inbox));
  level(m, "tocsin_engine_inbox_max", "Events that may wait", static_cast<double>(s.inbox_max));
  total(m, "tocsin_store_commits_total", "Groups committed", s.commits);
  total(m, "tocsin_store_commit_tries_failed_total", "Tries to commit that failed",
        s.commit_tries_failed);
  total(m, "tocsin_store_commits_failed_total", "Groups given up", s.commits_failed);
  m.latencies("tocsin_store_commit_seconds", "Committing a group, waiting for the disk included")
      .raise_to(s.commits_took);
  level(m, "tocsin_store_commit_max_seconds", "Longest commit", seconds(s.commit_us_max));
}

void publish_outbox_stats(io::Metrics& m, const OutboxStats& s) {
  constexpr const char* kName = "tocsin_outbox_messages_total";
  constexpr const char* kHelp = "Messages to channels, by what became of them";
  total(m, kName, kHelp, s.sent, {{"outcome", "sent"}});
  total(m, kName, kHelp, s.retried, {{"outcome", "retried"}});
  total(m, kName, kHelp, s.dead, {{"outcome", "dead"}});
  total(m, kName, kHelp, s.held, {{"outcome", "held"}});
  total(m, kName, kHelp, s.lapsed, {{"outcome", "lapsed"}});
  total(m, "tocsin_outbox_store_errors_total", "Times the outbox could not be read or written",
        s.store_errors);
  level(m, "tocsin_outbox_in_flight", "Messages under way", static_cast<double>(s.in_flight));
  level(m, "tocsin_notify_lag_seconds", "From decision to acceptance, last message",
        seconds(s.lag_us_last));
  level(m, "tocsin_notify_lag_max_seconds", "From decision to acceptance, longest",
        seconds(s.lag_us_max));
}

void publish_store_alarm_stats(io::Metrics& m, const StoreAlarmStats& s) {
  constexpr const char* kName = "tocsin_fallback_messages_total";
  constexpr const char* kHelp = "Messages to fallback_channel, by what became of them";
  total(m, kName, kHelp, s.sent, {{"outcome", "sent"}});
  total(m, kName, kHelp, s.retried, {{"outcome", "retried"}});
  total(m, kName, kHelp, s.given_up, {{"outcome", "dead"}});
}

void publish_loop_stats(io::Metrics& m, const io::LoopStats& s, Duration stall) {
  total(m, "tocsin_net_turns_total", "Turns of the loop that did something", s.turns);
  m.counter("tocsin_net_busy_seconds_total", "Time spent in those turns", {})
      .raise_to(seconds(static_cast<std::uint64_t>(s.busy_sum.count())));
  level(m, "tocsin_net_stall_max_seconds", "Longest of those turns since the last look",
        seconds(static_cast<std::uint64_t>(stall.count())));
}

void publish_agents(io::Metrics& m, const EngineView& view) {
  std::size_t live = 0;
  for (const AgentView& agent : view.agents) {
    live += agent.live ? 1U : 0U;
    const AgentRow& row = agent.row;
    const std::string id = row.agent.str();
    const auto results = [&](const char* what, std::uint64_t value) {
      total(m, "tocsin_collector_agent_results_total",
            "Results of an agent, by what became of them; with those in its spool they add up to "
            "what it generated",
            value, {{"agent", id}, {"region", row.region}, {"fate", what}});
    };
    results("stored", row.results_stored);
    results("gapped", row.results_gapped);
    results("refused_too_old", row.refused_too_old);
    results("refused_future", row.refused_future);
    results("refused_unassigned", row.refused_unassigned);
    results("refused_duplicate", row.refused_duplicate);
    results("refused_quarantined", row.refused_quarantined);
    const io::Labels labels{{"agent", id}, {"region", row.region}};
    level(m, "tocsin_collector_agent_live", "1 while the agent is connected and heard",
          agent.live ? 1 : 0, labels);
    level(m, "tocsin_collector_agent_generated", "Results it says to have made",
          static_cast<double>(agent.last_heartbeat.generated), labels);
    level(m, "tocsin_collector_agent_in_spool", "Results it says to hold unacknowledged",
          static_cast<double>(agent.last_heartbeat.in_spool), labels);
    level(m, "tocsin_collector_agent_clock_offset_seconds", "Our clock minus its clock",
          static_cast<double>(agent.clock_offset.count()) / 1e6, labels);
  }
  level(m, "tocsin_collector_agents_live", "Agents that are connected and heard",
        static_cast<double>(live));
}

}  // namespace tocsin::collector

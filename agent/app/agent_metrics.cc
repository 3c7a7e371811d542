#include "agent/app/agent_metrics.h"

#include "common/base/check.h"
#include "common/io/build_info.h"
#include "common/model/outcome.h"

#include <array>

namespace tocsin::agent {

namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

double number(std::uint64_t n) { return static_cast<double>(n); }

constexpr std::array kOutcomes = {Outcome::kUp, Outcome::kDegraded, Outcome::kDown,
                                  Outcome::kNoData, Outcome::kMissed};

}  // namespace

AgentMetrics::AgentMetrics(const std::string& region) {
  io::publish_build_info(metrics_);
  metrics_.gauge("tocsin_agent_info", "Which agent this is", {{"region", region}}).set(1);
  // Counters whose absence would read as "never looked": they exist from the start.
  for (const LinkTrouble trouble :
       {LinkTrouble::kUnreachable, LinkTrouble::kWrongServer, LinkTrouble::kKeyRefused,
        LinkTrouble::kDisconnected, LinkTrouble::kDropped, LinkTrouble::kOverflow}) {
    metrics_.counter("tocsin_agent_link_failures_total",
                     "Connections to a collector that failed or ended, by why",
                     {{"why", to_string(trouble)}});
  }
  metrics_.counter("tocsin_agent_egress_denied_total",
                   "Attempts stopped because this agent's egress policy denies the address");
}

void AgentMetrics::attempt(const Observation& observation) {
  if (observation.failure && observation.failure->reason == Reason::kPolicyDeniedAddress) {
    metrics_
        .counter("tocsin_agent_egress_denied_total",
                 "Attempts stopped because this agent's egress policy denies the address")
        .add();
  }
}

void AgentMetrics::notice(const Notice& notice) {
  metrics_
      .counter("tocsin_agent_notices_total", "Notices in the log, by their code",
               {{"code", notice.code}})
      .add();
}

void AgentMetrics::link_trouble(LinkTrouble trouble) {
  metrics_
      .counter("tocsin_agent_link_failures_total",
               "Connections to a collector that failed or ended, by why",
               {{"why", to_string(trouble)}})
      .add();
}

void AgentMetrics::unreadable(bool unsupported) {
  metrics_
      .counter("tocsin_agent_link_unreadable_total",
               "Messages of a collector that could not be used",
               {{"why", unsupported ? "unsupported" : "malformed"}})
      .add();
}

void AgentMetrics::publish(const AgentStats& stats) {
  for (const AgentStats::Queue& queue : stats.queues) {
    const io::Labels labels{{"interval", format_duration(queue.interval)}};
    metrics_.gauge("tocsin_agent_queue_series", "Series in this interval's queue", labels)
        .set(number(queue.series));
    metrics_.gauge("tocsin_agent_queue_in_flight", "Checks under way", labels)
        .set(number(queue.in_flight));
    metrics_.counter("tocsin_agent_queue_started_total", "Checks started", labels)
        .raise_to(number(queue.started));
    metrics_.counter("tocsin_agent_queue_missed_total", "Slots that were not run", labels)
        .raise_to(number(queue.missed));
    metrics_
        .gauge("tocsin_agent_queue_lateness_max_seconds",
               "Longest time from slot to start since the last scrape", labels)
        .set(seconds(queue.lateness_max));
    metrics_
        .latencies("tocsin_agent_queue_lateness_seconds", "From slot to start of a check", labels)
        .raise_to(queue.lateness);
  }
  for (const Outcome outcome : kOutcomes) {
    metrics_
        .counter("tocsin_agent_results_total", "Results by outcome",
                 {{"outcome", to_string(outcome)}})
        .raise_to(number(stats.results[static_cast<std::size_t>(outcome)]));
  }
  const auto total = [this](const char* name, const char* help, std::uint64_t value) {
    metrics_.counter(name, help).raise_to(number(value));
  };
  total("tocsin_agent_attempts_total", "Attempts started", stats.attempts);
  total("tocsin_agent_recovered_total", "Checks that passed after a failed attempt",
        stats.recovered);
  total("tocsin_agent_suspicions_total", "Suspicions sent at a first failed attempt",
        stats.suspicions);
  total("tocsin_agent_confirms_total", "Confirm runs made for other regions", stats.confirms);
  total("tocsin_agent_forks_total",
        "Times the collector had something else than this agent (restored or cloned state)",
        stats.forks);
  total("tocsin_agent_frames_sent_total", "Frames handed to the link", stats.frames_sent);
  total("tocsin_agent_frames_acked_total", "Acknowledgements verified", stats.frames_acked);
  total("tocsin_agent_messages_ignored_total", "Messages of a collector that had no use here",
        stats.messages_ignored);
  metrics_.gauge("tocsin_agent_unacked_bytes", "Bytes of frames sent and not acknowledged")
      .set(number(stats.unacked_bytes));
  metrics_
      .latencies("tocsin_agent_ack_seconds",
                 "From sending a frame of results to the collector's word that it is committed")
      .raise_to(stats.ack_latencies);
  metrics_.gauge("tocsin_agent_linked", "1 while a collector has welcomed this agent")
      .set(stats.linked ? 1 : 0);
  metrics_.gauge("tocsin_agent_assignment_epoch", "The assignment in force")
      .set(number(stats.assignment_epoch));
  for (const AgentHealth health :
       {AgentHealth::kHealthy, AgentHealth::kSuspect, AgentHealth::kBlind}) {
    metrics_
        .gauge("tocsin_agent_health", "What the agent thinks of itself: 1 for the state it is in",
               {{"state", to_string(health)}})
        .set(stats.health == health ? 1 : 0);
  }
  // A reason that holds no longer must not stay at 1.
  if (stats.fault != Reason::kNone) shown_faults_.insert(stats.fault);
  for (const Reason reason : shown_faults_) {
    metrics_
        .gauge("tocsin_agent_self_fault", "1 for the reason why the agent is suspect or blind",
               {{"reason", std::string{to_string(reason)}}})
        .set(stats.fault == reason ? 1 : 0);
  }
  for (const auto& [reason, count] : stats.no_data) {
    metrics_
        .counter("tocsin_agent_no_data_total", "Checks that say nothing of their target, by why",
                 {{"reason", std::string{to_string(reason)}}})
        .raise_to(number(count));
  }
  for (const AgentStats::AnchorStats& anchor : stats.anchors) {
    const io::Labels labels{{"anchor", anchor.name}};
    metrics_.counter("tocsin_agent_anchor_looks_total", "Looks at an anchor", labels)
        .raise_to(number(anchor.looks));
    metrics_.counter("tocsin_agent_anchor_failed_total", "Looks without an answer", labels)
        .raise_to(number(anchor.failed));
    metrics_.gauge("tocsin_agent_anchor_answers", "1 when the last look was answered", labels)
        .set(anchor.answers ? 1 : 0);
    metrics_
        .gauge("tocsin_agent_anchor_counts",
               "0 while an anchor is taken for gone: it failed for 10 minutes when targets did not",
               labels)
        .set(anchor.counts ? 1 : 0);
  }
}

std::string AgentMetrics::text(const Snapshot& now) {
  publish(now.stats);
  metrics_
      .counter("tocsin_agent_results_generated_total",
               "Results ever made in this state directory: stored + gaps + refused + in spool")
      .raise_to(number(now.spool.results_generated()));
  metrics_
      .counter("tocsin_agent_results_gapped_total", "Results given up because the spool was full")
      .raise_to(number(now.spool.results_gapped()));
  metrics_.gauge("tocsin_agent_spool_results", "Results in the spool that are not acknowledged")
      .set(number(now.spool.results_held()));
  metrics_.gauge("tocsin_agent_spool_bytes", "Bytes of the spool on disk")
      .set(number(now.spool.bytes()));
  metrics_.gauge("tocsin_agent_spool_max_bytes", "The bound of the spool")
      .set(number(now.spool_bytes_max));
  metrics_.gauge("tocsin_agent_spool_degraded", "1 while frames are only in memory: see the log")
      .set(now.spool.degraded().empty() ? 0 : 1);
  metrics_.counter("tocsin_agent_link_sent_bytes_total", "Bytes handed to the link")
      .raise_to(number(now.uplink.sent_bytes()));
  metrics_.counter("tocsin_agent_link_received_bytes_total", "Bytes received over the link")
      .raise_to(number(now.uplink.received_bytes()));
  metrics_.gauge("tocsin_agent_probes", "Attempts under way").set(number(now.runs_held));
  metrics_.gauge("tocsin_agent_draining", "1 while the agent stops").set(now.draining ? 1 : 0);
  metrics_
      .counter("tocsin_agent_assumptions_failed_total",
               "Broken assumptions of the program that it went on from: please report")
      .raise_to(number(assumptions_failed()));
  return metrics_.text();
}

}  // namespace tocsin::agent

#include "collector/status/post.h"

#include "collector/status/public_id.h"
#include "common/base/check.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::collector::status {

namespace {

std::vector<std::string> known_components(const StatusPageSpec& page,
                                          const std::vector<std::string>& keys) {
  std::vector<std::string> out;
  for (const PageGroup& group : page.groups) {
    for (const PageComponent& component : group.components) {
      const std::string key = component.key();
      if (std::find(keys.begin(), keys.end(), key) != keys.end()) out.push_back(key);
    }
  }
  return out;
}

/// What the clock makes of a maintenance.
ReportState stage_of(const ReportRow& row, WallTime now) {
  const ReportState said = row.state();
  if (said != ReportState::kScheduled) return said;
  if (row.scheduled_to && now >= *row.scheduled_to) return ReportState::kCompleted;
  if (row.scheduled_from && now >= *row.scheduled_from) return ReportState::kInProgress;
  return said;
}

Post report_post(const StatusPageSpec& page, const ReportRow& row, WallTime now) {
  Post post;
  post.kind = row.kind == ReportKind::kMaintenance ? PostKind::kMaintenance : PostKind::kReport;
  post.id = public_id(page.id, "report", row.id.str());
  post.urn = public_urn(page.id, "report", row.id.str());
  post.title = row.title;
  post.impact = row.impact;
  post.stage = stage_of(row, now);
  post.components = known_components(page, row.components);
  post.created = row.created;
  post.changed = row.updates.empty() ? row.created : row.updates.back().at;
  post.began = row.created;
  post.scheduled_from = row.scheduled_from;
  post.scheduled_to = row.scheduled_to;
  post.phase = is_over(post.stage)                     ? PostPhase::kPast
               : post.stage == ReportState::kScheduled ? PostPhase::kUpcoming
                                                       : PostPhase::kCurrent;
  if (post.kind == PostKind::kMaintenance) {
    post.state = PublicState::kMaintenance;
    // One that was begun before its time began when that was said.
    if (row.scheduled_from) post.began = *row.scheduled_from;
    for (const ReportUpdate& update : row.updates) {
      if (update.state == ReportState::kInProgress) {
        post.began = std::min(post.began, update.at);
        break;
      }
    }
  } else {
    post.state = state_of(row.impact);
  }
  if (post.stage != row.state()) {
    const auto moved = post.phase == PostPhase::kPast ? row.scheduled_to : row.scheduled_from;
    post.changed = std::max(post.changed, *moved);
  }
  if (post.phase == PostPhase::kPast) post.ended = post.changed;
  for (auto update = row.updates.rbegin(); update != row.updates.rend(); ++update) {
    if (post.updates.size() >= kPostUpdatesMax) {
      ++post.earlier;
      continue;
    }
    post.updates.push_back({update->at, update->state, lines_of(update->text)});
  }
  return post;
}

struct Facts {
  std::string id;
  std::uint64_t number = 0;
  std::string monitor_key;
  WallTime started_at;
  std::optional<WallTime> acknowledged_at;
  std::optional<WallTime> resolved_at;
  int down = 0;
  int total = 0;
};

Post measured(const StatusPageSpec& page, const Facts& facts, const std::string& component) {
  Post post;
  post.kind = PostKind::kMeasured;
  post.phase = facts.resolved_at ? PostPhase::kPast : PostPhase::kCurrent;
  post.id = public_id(page.id, "incident", facts.id);
  post.urn = public_urn(page.id, "incident", facts.id);
  post.title = fmt::format("{}: outage", component);
  post.number = facts.number;
  post.impact = facts.down < facts.total ? Impact::kMajor : Impact::kCritical;
  post.state = state_of(post.impact);
  post.stage = facts.resolved_at ? ReportState::kResolved : ReportState::kInvestigating;
  post.components = known_components(page, {facts.monitor_key});
  post.began = post.created = post.changed = facts.started_at;
  post.ended = facts.resolved_at;
  post.acknowledged_at = facts.acknowledged_at;
  post.updates.push_back(
      {facts.started_at,
       ReportState::kInvestigating,
       {facts.total == 0 ? std::string{"It could not be reached."}
                         : fmt::format("{} of {} region{} could not reach it.", facts.down,
                                       facts.total, facts.total == 1 ? "" : "s")}});
  if (facts.acknowledged_at) {
    post.updates.push_back(
        {*facts.acknowledged_at, ReportState::kInvestigating, {"Somebody is working on it."}});
  }
  if (facts.resolved_at) {
    post.updates.push_back(
        {*facts.resolved_at,
         ReportState::kResolved,
         {fmt::format("Over after {}.", format_span(*facts.resolved_at - facts.started_at))}});
  }
  post.changed = post.updates.back().at;
  std::reverse(post.updates.begin(), post.updates.end());
  return post;
}

}  // namespace

const char* to_string(PostKind kind) {
  switch (kind) {
    case PostKind::kMeasured:
      return "measured";
    case PostKind::kReport:
      return "incident";
    case PostKind::kMaintenance:
      return "maintenance";
  }
  CHECK(false);
}

std::vector<Post> report_posts(const StatusPageSpec& page, const std::vector<ReportRow>& reports,
                               WallTime now) {
  std::vector<Post> out;
  std::size_t past = 0;
  for (const ReportRow& row : reports) {
    if (row.page != page.slug || row.removed) continue;
    // Newest first: what is past and does not fit is not even looked at.
    const bool over = is_over(stage_of(row, now));
    if (over && ++past > kPostsMax) continue;
    out.push_back(report_post(page, row, now));
  }
  return out;
}

Post measured_post(const StatusPageSpec& page, const IncidentRow& incident,
                   const std::string& component) {
  const auto down = std::count_if(incident.votes.begin(), incident.votes.end(),
                                  [](const Vote& v) { return v.outcome == Outcome::kDown; });
  return measured(page,
                  {incident.id.str(), incident.number, incident.monitor_key, incident.started_at,
                   incident.acknowledged_at, std::nullopt, static_cast<int>(down),
                   static_cast<int>(incident.votes.size())},
                  component);
}

Post measured_post(const StatusPageSpec& page, const PastIncident& incident,
                   const std::string& component) {
  return measured(page,
                  {incident.id.str(), incident.number, incident.monitor_key, incident.started_at,
                   incident.acknowledged_at, incident.resolved_at, incident.down, incident.total},
                  component);
}

void bound_posts(std::vector<Post>& posts) {
  const auto newer = [](const Post& a, const Post& b) {
    return a.began != b.began ? a.began > b.began : a.id < b.id;
  };
  std::sort(posts.begin(), posts.end(), [&](const Post& a, const Post& b) {
    const bool a_past = a.phase == PostPhase::kPast;
    const bool b_past = b.phase == PostPhase::kPast;
    return a_past != b_past ? b_past : newer(a, b);
  });
  if (posts.size() > kPostsMax) posts.resize(kPostsMax);
  std::size_t bytes = 0;
  for (Post& post : posts) {
    std::size_t kept = 0;
    for (const PostUpdate& update : post.updates) {
      for (const std::string& line : update.lines) bytes += line.size() + 1;
      if (kept > 0 && bytes > kPostTextMax) break;
      ++kept;
    }
    post.earlier += post.updates.size() - kept;
    post.updates.resize(kept);
  }
  std::sort(posts.begin(), posts.end(), newer);
}

}  // namespace tocsin::collector::status

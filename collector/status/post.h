#pragma once
// Question answered here: what has happened, or is planned, that readers of a page should hear of?
//
// Three kinds in one form: what people write (reports of incidents and of maintenance) and what was
// measured (incidents of monitors on the page, in words made here). Feeds, history and the
// Statuspage family are lists of these.
//
// The clock moves a maintenance that nobody moved: one that is scheduled is in progress from its
// beginning and over at its end. One that was said to be in progress lasts until it is said to be
// completed.

#include "collector/core/catalog.h"
#include "collector/core/rows.h"
#include "collector/ports/view_source.h"
#include "collector/status/words.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector::status {

/// Of one page. What is current or planned comes first, then the newest of the past; the rest is
/// left out.
inline constexpr std::size_t kPostsMax = 50;
/// Of one post, the newest ones; the others are counted.
inline constexpr std::size_t kPostUpdatesMax = 20;
/// Of all updates of a page. Beyond it every post has its newest update only.
inline constexpr std::size_t kPostTextMax = 256 * 1024;

enum class PostKind : std::uint8_t {
  kMeasured,     ///< An incident of a monitor.
  kReport,       ///< People's report of an incident.
  kMaintenance,  ///< People's report of a maintenance.
};

const char* to_string(PostKind kind);

enum class PostPhase : std::uint8_t { kUpcoming, kCurrent, kPast };

struct PostUpdate {
  WallTime at;
  ReportState state = ReportState::kInvestigating;
  std::vector<std::string> lines;  ///< Printable.

  friend bool operator==(const PostUpdate&, const PostUpdate&) = default;
};

struct Post {
  PostKind kind = PostKind::kReport;
  PostPhase phase = PostPhase::kCurrent;
  std::string id;   ///< public_id.
  std::string urn;  ///< public_urn.
  std::string title;
  std::uint64_t number = 0;  ///< kMeasured: of "INC-7".
  Impact impact = Impact::kMinor;
  PublicState state = PublicState::kDegraded;  ///< What it means for what it names.
  ReportState stage = ReportState::kInvestigating;
  std::vector<std::string> components;  ///< PageComponent::key, only those of the page.
  std::string text;                     ///< kMeasured and current: how it is now.
  std::vector<PostUpdate> updates;      ///< Newest first.
  std::size_t earlier = 0;              ///< Updates that are left out.
  WallTime began;                       ///< Of a maintenance: as planned.
  WallTime created;
  WallTime changed;
  std::optional<WallTime> ended;
  std::optional<WallTime> acknowledged_at;  ///< kMeasured.
  std::optional<WallTime> scheduled_from;
  std::optional<WallTime> scheduled_to;

  friend bool operator==(const Post&, const Post&) = default;
};

/// What people wrote for this page, newest first.
std::vector<Post> report_posts(const StatusPageSpec& page, const std::vector<ReportRow>& reports,
                               WallTime now);

/// An open incident. `text` is left to the caller, who knows how its component is.
Post measured_post(const StatusPageSpec& page, const IncidentRow& incident,
                   const std::string& component);

Post measured_post(const StatusPageSpec& page, const PastIncident& incident,
                   const std::string& component);

/// Newest first and within the bounds above.
void bound_posts(std::vector<Post>& posts);

}  // namespace tocsin::collector::status

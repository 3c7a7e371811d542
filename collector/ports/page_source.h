#pragma once
// Question answered here: who renders a status page for whoever asks over HTTP, and which files
// make one up?

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tocsin::collector {

enum class PageFile : std::uint8_t {
  kHtml,
  kJson,
  kRss,
  kAtom,
  kBadge,
  kSummary,  ///< This and the following: the Statuspage-compatible family.
  kStatus,
  kComponents,
  kIncidents,
  kUnresolved,
  kMaintenances,
  kUpcoming,
  kActive,
};

struct PageFileName {
  PageFile file;
  std::string_view route;      ///< Behind /status/{slug}.
  std::string_view published;  ///< Below the directory of a published page.
};

inline constexpr std::array kPageFiles{
    PageFileName{PageFile::kHtml, "", "index.html"},
    PageFileName{PageFile::kJson, ".json", "status.json"},
    PageFileName{PageFile::kRss, "/feed.rss", "feed.rss"},
    PageFileName{PageFile::kAtom, "/feed.atom", "feed.atom"},
    PageFileName{PageFile::kBadge, "/badge.svg", "badge.svg"},
    PageFileName{PageFile::kSummary, "/api/v2/summary.json", "api/v2/summary.json"},
    PageFileName{PageFile::kStatus, "/api/v2/status.json", "api/v2/status.json"},
    PageFileName{PageFile::kComponents, "/api/v2/components.json", "api/v2/components.json"},
    PageFileName{PageFile::kIncidents, "/api/v2/incidents.json", "api/v2/incidents.json"},
    PageFileName{PageFile::kUnresolved, "/api/v2/incidents/unresolved.json",
                 "api/v2/incidents/unresolved.json"},
    PageFileName{PageFile::kMaintenances, "/api/v2/scheduled-maintenances.json",
                 "api/v2/scheduled-maintenances.json"},
    PageFileName{PageFile::kUpcoming, "/api/v2/scheduled-maintenances/upcoming.json",
                 "api/v2/scheduled-maintenances/upcoming.json"},
    PageFileName{PageFile::kActive, "/api/v2/scheduled-maintenances/active.json",
                 "api/v2/scheduled-maintenances/active.json"},
};

struct RenderedPage {
  std::string body;
  std::string content_type;
  std::string policy;    ///< Content-Security-Policy; empty: the server's own.
  bool noindex = false;  ///< Its owner asks search engines to stay away.
};

/// One thread: `net`.
class PageSource {
 public:
  enum class Missing : std::uint8_t { kNone, kNoSuchPage, kNoDataYet };

  struct Found {
    Missing missing = Missing::kNone;
    /// Set when nothing is missing. Shared with the source's cache, which may replace it while an
    /// answer is being made.
    std::shared_ptr<const RenderedPage> page;
  };

  virtual ~PageSource() = default;
  virtual Found find_page(std::string_view slug, PageFile file) = 0;
};

}  // namespace tocsin::collector

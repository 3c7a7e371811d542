#pragma once
// Question answered here: is this page rendered already?
//
// Renders on demand and keeps what it rendered for kFreshFor, or until the view or its history
// changes: a crowd that reloads during an outage costs one rendering of each file, and its ETag
// stays the same in between. Feeds, badge and the Statuspage family hold no time of rendering, so
// theirs stays the same until something happens.

#include "collector/ports/page_source.h"
#include "collector/ports/view_source.h"
#include "collector/status/page.h"
#include "collector/status/place.h"
#include "common/base/clock.h"
#include "common/base/expected.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector::status {

/// Pure.
RenderedPage render_file(const PageView& page, const Place& place, PageFile file);

/// A page as a directory: every file of kPageFiles by its published name, in their order.
struct PublishedFile {
  std::string name;
  std::string body;
};

/// How a page is published.
struct PublishOptions {
  std::string url;    ///< As in Place; empty: where the collector itself shows the page.
  Duration every{0};  ///< Between two copies.
};

struct PublishedPage {
  std::vector<PublishedFile> now;
  /// The same for when no newer copy could be had within PageView::stale_after: it says so.
  std::vector<PublishedFile> silent;
  Duration silent_after{0};
};

/// One thread: `net`.
class StatusPages final : public PageSource {
 public:
  static constexpr Duration kFreshFor = std::chrono::seconds{5};

  /// Both references outlive this. `public_url` is how people reach the collector, without a slash
  /// at the end; may be empty.
  StatusPages(Clock& clock, ViewSource& views, std::string public_url = "");

  Found find_page(std::string_view slug, PageFile file) override;

  /// Rendered anew at each call. kNotFound without such a page, kUnavailable before the first view.
  Expected<PublishedPage> publish(std::string_view slug, const PublishOptions& options);

  /// Since the start; for metrics and tests.
  std::uint64_t renderings() const { return renderings_; }

 private:
  struct Kept {
    MonoTime made;
    PageView page;
    /// Shared with answers under way.
    std::map<PageFile, std::shared_ptr<const RenderedPage>> files;
  };

  PageView make(const StatusPageSpec& spec, const EngineView& view, PageMoment moment);
  std::string url_of(const std::string& slug) const;

  Clock& clock_;
  ViewSource& views_;
  const std::string public_url_;
  std::uint64_t renderings_ = 0;
  std::shared_ptr<const EngineView> rendered_from_;
  std::shared_ptr<const UptimeTable> uptime_;
  std::shared_ptr<const PageHistory> history_;
  /// By slug; only slugs that exist, and emptied with every new view.
  std::map<std::string, Kept, std::less<>> kept_;
};

}  // namespace tocsin::collector::status

#pragma once
// Question answered here: is this page rendered already?
//
// Renders on demand and keeps what it rendered for kFreshFor, or until the view changes: a crowd
// that reloads during an outage costs one rendering, and its ETag stays the same in between.

#include "collector/ports/page_source.h"
#include "collector/ports/view_source.h"
#include "common/base/clock.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace tocsin::collector::status {

/// One thread: `net`.
class StatusPages final : public PageSource {
 public:
  static constexpr Duration kFreshFor = std::chrono::seconds{5};

  /// Both outlive this.
  StatusPages(Clock& clock, ViewSource& views);

  Found find_page(std::string_view slug, PageFormat format) override;

 private:
  struct Kept {
    std::shared_ptr<const RenderedPage> page;
    MonoTime made;
  };

  Clock& clock_;
  ViewSource& views_;
  std::shared_ptr<const EngineView> rendered_from_;
  /// By slug and format; only slugs that exist, and emptied with every new view.
  std::map<std::pair<std::string, PageFormat>, Kept> kept_;
};

}  // namespace tocsin::collector::status

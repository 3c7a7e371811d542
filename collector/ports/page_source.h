#pragma once
// Question answered here: who renders a status page for whoever asks over HTTP?

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tocsin::collector {

enum class PageFormat : std::uint8_t { kHtml, kJson };

struct RenderedPage {
  std::string body;
  std::string content_type;
  std::string policy;  ///< Content-Security-Policy; empty: the server's own.
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
  virtual Found find_page(std::string_view slug, PageFormat format) = 0;
};

}  // namespace tocsin::collector

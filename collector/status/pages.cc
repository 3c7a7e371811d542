#include "collector/status/pages.h"

#include "collector/status/page.h"
#include "collector/status/render_html.h"
#include "collector/status/render_json.h"

#include <algorithm>

namespace tocsin::collector::status {

StatusPages::StatusPages(Clock& clock, ViewSource& views)
    : clock_(clock),
      views_(views) {}

PageSource::Found StatusPages::find_page(std::string_view slug, PageFormat format) {
  const std::shared_ptr<const EngineView> view = views_.view();
  if (!view) return {Missing::kNoDataYet, nullptr};
  if (view != rendered_from_) {
    kept_.clear();
    rendered_from_ = view;
  }
  const auto spec = std::find_if(view->pages.begin(), view->pages.end(),
                                 [&](const StatusPageSpec& page) { return page.slug == slug; });
  if (spec == view->pages.end()) return {Missing::kNoSuchPage, nullptr};

  const Now now = clock_.now();
  Kept& kept = kept_[{spec->slug, format}];
  if (!kept.page || now.mono - kept.made >= kFreshFor) {
    const PageView page = make_page(*spec, *view, views_.uptime().get(), now.wall);
    auto rendered = std::make_shared<RenderedPage>();
    if (format == PageFormat::kHtml) {
      rendered->body = render_html(page);
      rendered->content_type = "text/html; charset=utf-8";
      rendered->policy = html_policy();
    } else {
      rendered->body = render_json(page);
      rendered->content_type = "application/json";
    }
    kept = {std::move(rendered), now.mono};
  }
  return {Missing::kNone, kept.page};
}

}  // namespace tocsin::collector::status

#include "collector/status/pages.h"

#include "collector/status/render_badge.h"
#include "collector/status/render_feed.h"
#include "collector/status/render_html.h"
#include "collector/status/render_json.h"
#include "collector/status/render_statuspage.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace tocsin::collector::status {

namespace {

const StatusPageSpec* find_spec(const EngineView& view, std::string_view slug) {
  const auto spec = std::find_if(view.pages.begin(), view.pages.end(),
                                 [&](const StatusPageSpec& page) { return page.slug == slug; });
  return spec == view.pages.end() ? nullptr : &*spec;
}

std::vector<PublishedFile> render_all(const PageView& page, const Place& place) {
  std::vector<PublishedFile> out;
  for (const PageFileName& name : kPageFiles) {
    out.push_back({std::string{name.published}, render_file(page, place, name.file).body});
  }
  return out;
}

}  // namespace

RenderedPage render_file(const PageView& page, const Place& place, PageFile file) {
  switch (file) {
    case PageFile::kHtml:
      return {render_html(page, place), "text/html; charset=utf-8", html_policy(), page.noindex};
    case PageFile::kJson:
      return {render_json(page), "application/json", "", page.noindex};
    case PageFile::kRss:
      return {render_rss(page, place), "application/rss+xml; charset=utf-8", "", page.noindex};
    case PageFile::kAtom:
      return {render_atom(page, place), "application/atom+xml; charset=utf-8", "", page.noindex};
    case PageFile::kBadge:
      return {render_badge(page), "image/svg+xml; charset=utf-8", "", page.noindex};
    case PageFile::kSummary:
    case PageFile::kStatus:
    case PageFile::kComponents:
    case PageFile::kIncidents:
    case PageFile::kUnresolved:
    case PageFile::kMaintenances:
    case PageFile::kUpcoming:
    case PageFile::kActive:
      break;
  }
  return {render_statuspage(page, place, file), "application/json", "", page.noindex};
}

StatusPages::StatusPages(Clock& clock, ViewSource& views, std::string public_url)
    : clock_(clock),
      views_(views),
      public_url_(std::move(public_url)) {}

std::string StatusPages::url_of(const std::string& slug) const {
  return public_url_.empty() ? std::string{} : public_url_ + "/status/" + slug;
}

PageView StatusPages::make(const StatusPageSpec& spec, const EngineView& view, PageMoment moment) {
  return make_page(spec, {view, views_.uptime().get(), views_.history().get()}, moment);
}

PageSource::Found StatusPages::find_page(std::string_view slug, PageFile file) {
  const std::shared_ptr<const EngineView> view = views_.view();
  if (!view) return {Missing::kNoDataYet, nullptr};
  if (view != rendered_from_ || views_.uptime() != uptime_ || views_.history() != history_) {
    kept_.clear();
    rendered_from_ = view;
    uptime_ = views_.uptime();
    history_ = views_.history();
  }
  const StatusPageSpec* spec = find_spec(*view, slug);
  if (spec == nullptr) return {Missing::kNoSuchPage, nullptr};

  const Now now = clock_.now();
  auto kept = kept_.find(slug);
  if (kept == kept_.end() || now.mono - kept->second.made >= kFreshFor) {
    kept = kept_.insert_or_assign(spec->slug, Kept{now.mono, make(*spec, *view, {now.wall}), {}})
               .first;
  }
  std::shared_ptr<const RenderedPage>& rendered = kept->second.files[file];
  if (!rendered) {
    ++renderings_;
    rendered = std::make_shared<const RenderedPage>(
        render_file(kept->second.page, {url_of(spec->slug), false}, file));
  }
  return {Missing::kNone, rendered};
}

Expected<PublishedPage> StatusPages::publish(std::string_view slug, const PublishOptions& options) {
  const std::shared_ptr<const EngineView> view = views_.view();
  if (!view)
    return fail(Errc::kUnavailable, "the collector is starting and has nothing to show yet");
  const StatusPageSpec* spec = find_spec(*view, slug);
  if (spec == nullptr) {
    std::vector<std::string_view> slugs;
    for (const StatusPageSpec& page : view->pages) slugs.push_back(page.slug);
    const std::string_view near = did_you_mean(slug, slugs);
    return fail(Errc::kNotFound, "there is no status page \"{}\"{}", printable(slug, 64),
                near.empty() ? std::string{} : fmt::format("; did you mean {}?", near));
  }
  const Place place{options.url.empty() ? url_of(spec->slug) : options.url, true};
  PageMoment moment{clock_.now().wall, options.every, false};
  PublishedPage out;
  out.now = render_all(make(*spec, *view, moment), place);
  moment.silent = true;
  const PageView silent = make(*spec, *view, moment);
  out.silent = render_all(silent, place);
  out.silent_after = std::max(Duration{0}, silent.stale_after - moment.now);
  renderings_ += out.now.size() + out.silent.size();
  return out;
}

}  // namespace tocsin::collector::status

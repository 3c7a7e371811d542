#include "collector/status/render_feed.h"

#include "collector/status/public_id.h"
#include "collector/status/render_html.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::collector::status {

namespace {

std::string visible_noncharacters(std::string text) {
  for (const auto& [bytes, shown] :
       {std::pair{"\xef\xbf\xbe", "\\u{fffe}"}, std::pair{"\xef\xbf\xbf", "\\u{ffff}"}}) {
    for (std::size_t at = text.find(bytes); at != std::string::npos; at = text.find(bytes, at)) {
      text.replace(at, 3, shown);
    }
  }
  return text;
}

/// Escaped once more by the feed: the content is HTML as text.
std::string content_of(const PageView& page, const Post& post) {
  std::string html;
  if (post.scheduled_from && post.scheduled_to) {
    html += fmt::format("<p>Planned {} to {}.</p>", format_for_people(*post.scheduled_from),
                        format_for_people(*post.scheduled_to));
  }
  std::vector<std::string> names;
  for (const std::string& key : post.components) {
    if (const ComponentView* c = page.find(key)) names.push_back(c->name);
  }
  if (!names.empty()) html += fmt::format("<p>Affects {}.</p>", html_text(name_list(names), 1024));
  for (const PostUpdate& update : post.updates) {
    html += fmt::format("<p><b>{}</b>, {}</p>{}", label(update.state), format_for_people(update.at),
                        html_paragraphs(update.lines));
  }
  if (post.earlier > 0)
    html += fmt::format("<p>{} earlier updates are left out.</p>", post.earlier);
  return escape_html(visible_noncharacters(std::move(html)));
}

std::string title_of(const Post& post) {
  return fmt::format("{}: {}", label(post.stage), xml_text(post.title));
}

std::string page_url(const PageView& page, const Place& place) {
  if (!place.url.empty()) return place.url;
  if (is_web_link(page.homepage)) return page.homepage;
  return public_urn(page.id, "page", "");
}

/// Empty without a URL of the page's own.
std::string post_url(const Place& place, const Post& post) {
  return place.url.empty() ? std::string{} : fmt::format("{}#r-{}", place.url, post.id);
}

std::vector<const Post*> newest_change_first(const PageView& page) {
  std::vector<const Post*> out;
  for (const Post& post : page.posts) out.push_back(&post);
  std::stable_sort(out.begin(), out.end(),
                   [](const Post* a, const Post* b) { return a->changed > b->changed; });
  return out;
}

WallTime feed_changed(const PageView& page) {
  WallTime newest = page.created_at;
  for (const Post& post : page.posts) newest = std::max(newest, post.changed);
  return newest;
}

}  // namespace

std::string xml_text(std::string_view raw, std::size_t max_bytes) {
  return escape_html(visible_noncharacters(printable(raw, max_bytes)));
}

std::string render_rss(const PageView& page, const Place& place) {
  std::string out =
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
      "<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\n<channel>\n";
  out +=
      fmt::format("<title>{}</title>\n<link>{}</link>\n<description>{}</description>\n",
                  xml_text(page.title), xml_text(page_url(page, place), 2048),
                  xml_text(page.description.empty() ? "Incidents and maintenance of " + page.title
                                                    : page.description));
  if (!place.url.empty()) {
    out +=
        fmt::format("<atom:link href=\"{}/feed.rss\" rel=\"self\" type=\"application/rss+xml\"/>\n",
                    xml_text(place.url, 2048));
  }
  out += fmt::format("<language>en</language>\n<lastBuildDate>{}</lastBuildDate>\n<ttl>1</ttl>\n",
                     format_rfc5322(feed_changed(page)));
  for (const Post* post : newest_change_first(page)) {
    out += fmt::format("<item>\n<title>{}</title>\n", title_of(*post));
    const std::string url = post_url(place, *post);
    if (!url.empty()) out += fmt::format("<link>{}</link>\n", xml_text(url, 2048));
    out += fmt::format(
        "<guid isPermaLink=\"false\">{}</guid>\n<pubDate>{}</pubDate>\n"
        "<description>{}</description>\n</item>\n",
        post->urn, format_rfc5322(post->changed), content_of(page, *post));
  }
  return out + "</channel>\n</rss>\n";
}

std::string render_atom(const PageView& page, const Place& place) {
  std::string out =
      "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
      "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"en\">\n";
  out += fmt::format(
      "<id>{}</id>\n<title>{}</title>\n<updated>{}</updated>\n"
      "<author><name>{}</name></author>\n",
      public_urn(page.id, "page", ""), xml_text(page.title), format_rfc3339(feed_changed(page)),
      xml_text(page.title));
  if (!page.description.empty()) {
    out += fmt::format("<subtitle>{}</subtitle>\n", xml_text(page.description));
  }
  if (!place.url.empty()) {
    const std::string url = xml_text(place.url, 2048);
    out += fmt::format(
        "<link rel=\"alternate\" type=\"text/html\" href=\"{0}\"/>\n"
        "<link rel=\"self\" type=\"application/atom+xml\" href=\"{0}/feed.atom\"/>\n",
        url);
  }
  for (const Post* post : newest_change_first(page)) {
    out += fmt::format(
        "<entry>\n<id>{}</id>\n<title>{}</title>\n<published>{}</published>\n"
        "<updated>{}</updated>\n",
        post->urn, title_of(*post), format_rfc3339(post->created), format_rfc3339(post->changed));
    const std::string url = post_url(place, *post);
    if (!url.empty()) {
      out += fmt::format("<link rel=\"alternate\" type=\"text/html\" href=\"{}\"/>\n",
                         xml_text(url, 2048));
    }
    out += fmt::format("<content type=\"html\">{}</content>\n</entry>\n", content_of(page, *post));
  }
  return out + "</feed>\n";
}

}  // namespace tocsin::collector::status

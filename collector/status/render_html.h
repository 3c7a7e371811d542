#pragma once
// Question answered here: how does a status page look in a browser?
//
// One self-contained document: no script, no request for anything else, readable without colour,
// light or dark as the reader's system is. Names come from people and are escaped here.
//
// It does not reload itself: a reader who is halfway through would lose their place (WCAG 2.2.1).
// Instead it says how old it is, and says so louder five minutes after it was loaded.

#include "collector/status/page.h"
#include "collector/status/place.h"

#include <string>
#include <string_view>

namespace tocsin::collector::status {

std::string render_html(const PageView& page, const Place& place = {});

/// The Content-Security-Policy of these documents: nothing but the one style sheet, by its digest.
const std::string& html_policy();

/// For text and for quoted attribute values. Invalid UTF-8, control characters and bidirectional
/// overrides are made visible (see printable) and the text is cut at `max_bytes`.
std::string html_text(std::string_view raw, std::size_t max_bytes = 512);

/// Lines as <p> elements: an empty line ends one, other ends of lines are <br>.
std::string html_paragraphs(const std::vector<std::string>& lines);

/// True for what may stand in href: "http://..." or "https://...".
bool is_web_link(std::string_view url);

}  // namespace tocsin::collector::status

#pragma once
// Question answered here: how does a feed reader follow a status page?
//
// One entry for each post of the page (incidents, maintenance, what was measured), with all of its
// updates, newest first. Ids never change, and neither does the text while nothing happens, so that
// a reader who asks with the old ETag hears 304. RSS 2.0 and Atom (RFC 4287).

#include "collector/status/page.h"
#include "collector/status/place.h"

#include <string>

namespace tocsin::collector::status {

std::string render_rss(const PageView& page, const Place& place);
std::string render_atom(const PageView& page, const Place& place);

/// For text and quoted attribute values of XML 1.0: as html_text, and without the two characters
/// that no XML document may hold.
std::string xml_text(std::string_view raw, std::size_t max_bytes = 512);

}  // namespace tocsin::collector::status

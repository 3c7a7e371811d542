#pragma once
// Question answered here: what do programs read that know Statuspage's public API (v2)?
//
// Its shapes, field by field; docs/status-page.md lists them and says what ours mean. Two fields
// are ours: Statuspage has no word for "we do not know", so a component without data keeps its last
// known state and says x_stale, and the page's indicator is then never "none".

#include "collector/ports/page_source.h"
#include "collector/status/page.h"
#include "collector/status/place.h"

#include <string>

namespace tocsin::collector::status {

/// `file` is one of the family: PageFile::kSummary or later.
std::string render_statuspage(const PageView& page, const Place& place, PageFile file);

}  // namespace tocsin::collector::status

#pragma once
// Question answered here: how is a page's state said in the README of somebody else?
//
// One SVG without scripts, styles or fonts of its own. The words say what the colour says.

#include "collector/status/page.h"

#include <string>

namespace tocsin::collector::status {

std::string render_badge(const PageView& page);

}  // namespace tocsin::collector::status

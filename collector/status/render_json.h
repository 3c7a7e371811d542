#pragma once
// Question answered here: how does a program read a status page? The shape is
// docs/status-page.md's.

#include "collector/status/page.h"

#include <string>

namespace tocsin::collector::status {

std::string render_json(const PageView& page);

}  // namespace tocsin::collector::status

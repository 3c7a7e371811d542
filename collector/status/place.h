#pragma once
// Question answered here: where does a page stand, as seen by those who read it?

#include "common/base/time.h"

#include <string>

namespace tocsin::collector::status {

struct Place {
  /// Absolute and without a slash at the end; empty: not known, and then feeds name the owner's
  /// homepage or the page's id.
  std::string url;
  bool published = false;  ///< A directory of files, not the collector itself.
};

}  // namespace tocsin::collector::status

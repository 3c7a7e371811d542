#include "common/model/observation.h"

namespace tocsin {

const char* to_string(ConnectionUse use) {
  switch (use) {
    case ConnectionUse::kCold:
      return "cold";
    case ConnectionUse::kResumed:
      return "resumed";
    case ConnectionUse::kReused:
      return "reused";
  }
  return "?";
}

}  // namespace tocsin

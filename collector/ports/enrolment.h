#pragma once
// Question answered here: what does somebody ask for who wants to enrol an agent, and what is made
// for it?

#include "collector/core/engine.h"
#include "common/base/expected.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector {

inline constexpr Duration kEnrolmentValidDefault = std::chrono::hours{24};
inline constexpr Duration kEnrolmentValidMax = std::chrono::hours{24 * 7};
inline constexpr std::size_t kEnrolmentNameMax = 100;

struct EnrolmentWish {
  std::string region;
  std::string name;  ///< At most kEnrolmentNameMax bytes of UTF-8.
  Duration valid = kEnrolmentValidDefault;
  std::vector<std::string> endpoints{};  ///< Empty: the one that is bound.
  std::optional<AgentId> agent{};        ///< Renew the key of this agent, which is in `region`.
};

/// The bundle is a secret and kept nowhere: who loses it makes another one.
struct NewEnrolment {
  EnrolmentRow row;
  std::string bundle;
};

/// kNotFound when there is no such agent, or it was revoked: it needs to be enrolled anew.
Expected<std::string> region_of(const EngineView& view, const AgentId& agent);

/// Makes a one-time key pair. kInvalid says which field of the wish is wrong; whether the region
/// exists is known to the engine (AddEnrolment).
using EnrolmentMaker = std::function<Expected<NewEnrolment>(const EnrolmentWish& wish)>;

}  // namespace tocsin::collector

// No blackbox.yml makes its reader crash or hang; what is taken is within its bounds, what is
// refused names the file, and what is shown of it is read back as what was shown and has no secret.

#include "agent/compat/blackbox_modules.h"
#include "agent/compat/yaml_text.h"
#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/io/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tocsin;
  const auto tree = io::parse_yaml(as_view({data, size}), "f.yml");
  if (!tree) return 0;
  const auto made = agent::read_blackbox_modules(*tree, "f.yml");
  if (!made) {
    CHECK(!made.error().empty());
    for (const std::string& line : made.error()) CHECK(line.starts_with("f.yml"));
    return 0;
  }
  std::size_t notices = 0;
  for (const auto& [name, module] : made->modules) {
    CHECK(module->name == name);
    CHECK((module->prober == agent::Prober::kTcp) <= (module->dialogue != nullptr));
    if (!module->unsupported.empty()) ++notices;
    if (module->dialogue) CHECK(module->dialogue->steps.size() <= agent::Dialogue::kStepsMax);
    const auto again = io::parse_yaml(agent::yaml_text(module->source), "g.yml");
    CHECK(again && *again == module->source);
  }
  CHECK(notices == made->notices.size());
  CHECK(made->modules.size() <= agent::BlackboxModules::kModulesMax);
  return 0;
}

// No file makes the YAML reader crash, hang or go beyond its bounds; errors name the file.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/io/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto node = tocsin::io::parse_yaml(tocsin::as_view({data, size}), "f.yaml");
  if (!node) CHECK(node.error().text.starts_with("f.yaml"));
  return 0;
}

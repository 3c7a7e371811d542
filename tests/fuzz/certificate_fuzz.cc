// Whatever a certificate says, the facts are bounded and can be shown, and reading it again says
// the same.

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/io/certificate.h"

#include <algorithm>

namespace {

void check_text(const std::string& text) {
  CHECK(text.size() <= 256);
  CHECK(tocsin::is_valid_utf8(text));
  CHECK(tocsin::printable(text, 256) == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto facts = tocsin::io::read_certificate({data, size});
  if (!facts) return 0;
  for (const std::string* text : {&facts->subject, &facts->issuer, &facts->serial, &facts->key,
                                  &facts->signature, &facts->sha256}) {
    check_text(*text);
  }
  CHECK(facts->names.size() <= tocsin::CertificateFacts::kNamesMax);
  CHECK(facts->names.size() <= facts->name_count);
  std::for_each(facts->names.begin(), facts->names.end(), check_text);
  CHECK(facts->sha256.size() == 64);
  CHECK(tocsin::io::read_certificate({data, size}) == facts);
  return 0;
}

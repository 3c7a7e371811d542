// A server may say anything before TLS, in any pieces: the dialogue ends in one of its states, says
// only what its protocol knows, and comes to the same however the bytes are cut.

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/codec/starttls.h"

#include <algorithm>

namespace {

using tocsin::starttls::Dialog;
using tocsin::starttls::State;

struct End {
  State state;
  std::string said;
  tocsin::Failure failure;
};

End talk(tocsin::StartTls protocol, std::string_view bytes, std::size_t piece) {
  Dialog dialog{protocol, "client.example"};
  std::string said = dialog.take_output();
  while (!bytes.empty() && dialog.state() == State::kTalking) {
    const std::size_t n = std::min(piece, bytes.size());
    dialog.feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    said += dialog.take_output();
  }
  CHECK(said.size() <= 200);
  CHECK(!dialog.awaited().empty());
  CHECK(dialog.greeting().size() <= Dialog::kLineMax);
  CHECK((dialog.state() == State::kFailed) == (dialog.failure().reason != tocsin::Reason::kNone));
  return {dialog.state(), said, dialog.failure()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto protocol = static_cast<tocsin::StartTls>(1 + data[0] % 4);
  const std::string_view bytes = tocsin::as_view({data, size}).substr(1);
  const End whole = talk(protocol, bytes, bytes.size());
  const End pieces = talk(protocol, bytes, 1 + data[0] / 4 % 7);
  // Cut right behind the last answer, what follows it was not seen yet.
  const bool injected =
      whole.failure.reason == tocsin::Reason::kStarttlsInjected && pieces.state == State::kReady;
  CHECK(injected || whole.state == pieces.state);
  CHECK(whole.said == pieces.said);
  return 0;
}

// A process that store_crash_test kills: opens the store of a directory and does one thing.
//   store_crasher DIRECTORY open
//   store_crasher DIRECTORY commit SEQ      one group with rows, journal and outbox
//   store_crasher DIRECTORY stream SEQ      groups from SEQ on until killed, a line after each
//   store_crasher DIRECTORY claim           claims at a fixed time
//   store_crasher DIRECTORY record TOKEN    records outbox row 1 as sent

#include "tests/contract/store_crasher.h"

#include "collector/store/sqlite_store.h"

#include <cstdlib>
#include <iostream>

namespace {

int fail(const tocsin::Error& error) {
  std::cerr << error.text << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace tocsin;
  using namespace tocsin::collector;
  if (argc < 3) return 2;
  const std::string verb = argv[2];
  const std::uint64_t number = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
  auto store = SqliteStore::open({.directory = argv[1]});
  if (!store) return fail(store.error());
  if (verb == "commit") {
    const auto done = (*store)->commit(crasher_group(number));
    if (!done) return fail(done.error());
  } else if (verb == "stream") {
    for (std::uint64_t seq = number;; ++seq) {
      const auto done = (*store)->commit(crasher_group(seq));
      if (!done) return fail(done.error());
      std::cout << seq << std::endl;
    }
  } else if (verb == "claim") {
    const auto items = (*store)->claim_outbox(kCrasherClaim, 10, std::chrono::seconds{30});
    if (!items) return fail(items.error());
  } else if (verb == "record") {
    const auto done = (*store)->record_delivery({.notification = crasher_notification(1),
                                                 .token = number,
                                                 .attempt = 1,
                                                 .at = kCrasherClaim,
                                                 .outcome = DeliveryOutcome::kSent,
                                                 .retry_at = {},
                                                 .status = 204,
                                                 .detail = {},
                                                 .duration_ms = 5});
    if (!done) return fail(done.error());
  } else if (verb != "open") {
    return 2;
  }
  std::cout << "done" << std::endl;
  return 0;
}

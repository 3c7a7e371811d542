#pragma once
// Question answered here: how does an agent become known to a collector?
//
// Specification (DEC-12)
//  E1 The agent makes its own key pair and stores it durably (enrolment.pending) before it offers
//     the public half. The secret half never leaves the machine.
//  E2 It connects with the bundle's one-time key and sends Enrol. The answer Enrolled comes after
//     the collector's commit; the identity is stored, the pending file removed.
//  E3 Without an answer nobody knows whether the collector committed. The next try finds the
//     pending keys and offers them itself first: a collector that knows them answers Enrolled
//     again. If it refuses them, the Enrol never arrived, and E2 is done with the same keys.
//  E4 A state directory that has an identity is never enrolled again by accident. A bundle that
//     names its agent renews the key: the identity keeps its name, its spool goes on, and the old
//     key is worth nothing from the commit on. Until the answer is stored the old identity stands.

#include "agent/app/bundle.h"
#include "agent/app/identity.h"
#include "common/base/expected.h"
#include "common/io/event_loop.h"

#include <string>

namespace tocsin::agent {

struct EnrolOptions {
  std::string state_dir;
  std::string identity_path;
  std::string pending_path;
  /// For each of E2 and E3.
  Duration patience = std::chrono::seconds{20};
};

/// Does all of the above and runs `loop` meanwhile. kExists: there is an identity already (the text
/// says what to do). kInvalid: the bundle names another agent than the one here. kDenied: the
/// collector refuses the bundle. kUnavailable: no answer; running the same command again is safe.
Expected<Identity> enrol(io::EventLoop& loop, const Bundle& bundle, const EnrolOptions& options);

}  // namespace tocsin::agent

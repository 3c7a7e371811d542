#pragma once
// Question answered here: what lies in the state directory before the store is opened?
//
// The directory itself (0700) and the collector's CURVE key pair: `curve.public` (0644, one line of
// Z85) and `curve.secret` (0600). `init` makes them once and never replaces them: every enrolled
// agent has the public key pinned. `ack.secret` (0600, one line of base64) signs acknowledge links;
// the first start makes it, and without it the links of earlier messages are worth nothing.
// `sealing.secret` (the same form) seals the secrets in the store that monitors name; without it
// they must be set again.

#include "common/base/expected.h"
#include "common/io/secret.h"
#include "common/io/zmq_socket.h"

#include <cstddef>
#include <string>

namespace tocsin::collector {

/// Creates the directory (and what is missing above it) with mode 0700. An existing one must be
/// ours to write and closed to others: kDenied says which mode it has.
Expected<void> make_state_dir(const std::string& path);

/// kExists when there are keys already.
Expected<io::CurveKeyPair> make_keys(const std::string& public_path,
                                     const std::string& secret_path);

/// kNotFound: `init` was not run. kDenied: others can read the secret. kCorrupt: not a key, or the
/// two do not belong together.
Expected<io::CurveKeyPair> load_keys(const std::string& public_path,
                                     const std::string& secret_path);

/// The bytes of the key, so many of them; made when there is none. kDenied: others can read it.
/// kCorrupt: not a key.
Expected<io::Secret> load_or_make_key(const std::string& path, std::size_t size);

}  // namespace tocsin::collector

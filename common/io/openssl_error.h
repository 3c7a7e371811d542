#pragma once
// Question answered here: what did OpenSSL just complain about?

#include <string>

namespace tocsin::io {

/// The oldest queued error in words; empties the queue, so that the next call does not see it.
std::string take_openssl_error();

}  // namespace tocsin::io

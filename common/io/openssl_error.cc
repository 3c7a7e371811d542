#include "common/io/openssl_error.h"

#include <openssl/err.h>

namespace tocsin::io {

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* text = ERR_reason_error_string(code);
  return text == nullptr ? "no reason given" : text;
}

}  // namespace tocsin::io

#pragma once
// Question answered here: how do people write bytes that are not text?
//
//   EHLO x\r\n     \r \n \t \0 \\ and \xHH stand for bytes; everything else for itself

#include "common/base/expected.h"

#include <string>
#include <string_view>

namespace tocsin::codec {

/// The bytes that are meant; kInvalid with the column for a backslash before anything else.
Expected<std::string> read_byte_text(std::string_view text);

/// Valid UTF-8 that reads back as these bytes.
std::string byte_text(std::string_view bytes);

}  // namespace tocsin::codec

#pragma once
// Question answered here: small text helpers that several layers need.

#include <string>
#include <string_view>
#include <vector>

namespace tocsin {

std::string_view trim(std::string_view s);
std::vector<std::string_view> split(std::string_view s, char separator);
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view s);
bool iequals(std::string_view a, std::string_view b);

/// [a-z0-9] then [a-z0-9-], 1 to 63 characters: the keys of monitors, services, regions and so on.
bool is_key(std::string_view s);

/// For text and for quoted attribute values of HTML. The caller has made the text printable.
std::string escape_html(std::string_view s);

/// One line for each row, its cells padded to their column and two blanks apart; the last column as
/// it is. Every row has as many cells as the first.
std::string align_columns(const std::vector<std::vector<std::string>>& rows);

/// "local@domain" that can stand in a mail header and an SMTP command without quoting: at most 254
/// bytes of printable ASCII without spaces, quotes, brackets, commas or colons, one '@', and a
/// domain with a label on each side of its dots (RFC 5321 4.1.2, its useful part).
bool is_mail_address(std::string_view s);

bool is_valid_utf8(std::string_view s);

/// Bytes from a peer made fit for a log line, a terminal or a page: invalid UTF-8, control
/// characters and bidirectional overrides become "\xNN" or "\u{NNNN}", and the text is cut at
/// `max_bytes` with an ellipsis. This does not escape for HTML.
std::string printable(std::string_view s, std::size_t max_bytes = 256);

/// JSON text, valid UTF-8, in which what `printable` makes visible stands as \uNNNN: the value is
/// the same, and no terminal or browser that shows the text itself is moved by it. Control
/// characters below 0x20 stay: JSON has escaped those of strings, and the others are its line
/// feeds.
std::string escape_unsafe_json(std::string json);

/// The candidate nearest to `word` by edit distance, if it is near enough to be a slip; else empty.
std::string_view did_you_mean(std::string_view word,
                              const std::vector<std::string_view>& candidates);

}  // namespace tocsin

#pragma once
// Question answered here: how does an event become one line that a person and a program can read?
//
//   log::info("incident opened", {{"monitor", key}, {"because", reason}});
//
// One event, one line, on stderr. The event is a constant in lower case without a trailing dot;
// what varies stands in the fields. Values are made printable, so that nothing a peer sends can
// forge a line. Any thread may log; configuring is for the start and for SIGHUP.
//
// text: "2026-11-21T03:14:07.250Z info incident opened monitor=shop because=\"2 of 3 down\"";
// json: {"time":"...","level":"info","event":"incident opened","monitor":"shop"};
// under journald (JOURNAL_STREAM names our stderr) text lines begin with "<6>" instead of the time.

#include "common/base/expected.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/io/secret.h"

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tocsin::log {

enum class Level : std::uint8_t {
  kDebug,    ///< For us.
  kInfo,     ///< What an operator wants to have read.
  kWarning,  ///< Something is not as it should be and we go on.
  kError,    ///< Somebody has to act.
};

const char* to_string(Level level);
Expected<Level> parse_level(std::string_view text);

enum class Format : std::uint8_t { kText, kJson };

Expected<Format> parse_format(std::string_view text);

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
};

void configure(const Options& options);
bool enabled(Level level);

/// Tests and embedding: lines go to `sink` (without a line feed) instead of stderr; an empty
/// function puts stderr back.
void set_sink(std::function<void(std::string_view line)> sink);

/// One key and its value.
class Field {
 public:
  Field(std::string_view key, std::string_view value)
      : key_(key),
        text_(value) {}

  Field(std::string_view key, const std::string& value)
      : Field(key, std::string_view(value)) {}

  Field(std::string_view key, const char* value)
      : Field(key, std::string_view(value)) {}

  Field(std::string_view key, std::same_as<bool> auto value)
      : key_(key),
        text_(value ? "true" : "false"),
        bare_(true) {}

  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  Field(std::string_view key, T value)
      : key_(key),
        text_(std::to_string(value)),
        bare_(true) {}

  Field(std::string_view key, double value);

  Field(std::string_view key, Duration value)
      : Field(key, format_duration_short(value)) {}

  Field(std::string_view key, WallTime value)
      : Field(key, format_rfc3339(value)) {}

  template <class Tag>
  Field(std::string_view key, const Id<Tag>& value)
      : Field(key, value.str()) {}

  Field(std::string_view key, const Error& error)
      : Field(key, error.text) {}

  Field(std::string_view key, const io::Secret& /*secret*/)
      : Field(key, "***") {}

  std::string_view key() const { return key_; }

  const std::string& text() const { return text_; }

  /// A number or a truth value: no quotes in JSON.
  bool bare() const { return bare_; }

 private:
  std::string_view key_;
  std::string text_;
  bool bare_ = false;
};

using Fields = std::initializer_list<Field>;

void write(Level level, std::string_view event, std::span<const Field> fields);

inline void debug(std::string_view event, Fields fields = {}) {
  write(Level::kDebug, event, {fields.begin(), fields.size()});
}

inline void info(std::string_view event, Fields fields = {}) {
  write(Level::kInfo, event, {fields.begin(), fields.size()});
}

inline void warning(std::string_view event, Fields fields = {}) {
  write(Level::kWarning, event, {fields.begin(), fields.size()});
}

inline void error(std::string_view event, Fields fields = {}) {
  write(Level::kError, event, {fields.begin(), fields.size()});
}

/// Keeps an error that repeats from filling the disk: of each key the first line passes, then one
/// per `every`. Remembers at most kKeysMax keys; when more come, it forgets all of them. One
/// thread.
class RateLimit {
 public:
  static constexpr std::size_t kKeysMax = 1024;

  explicit RateLimit(Duration every)
      : every_(every) {}

  /// How many lines of this key were left out since the last that passed, when this one passes;
  /// nothing when it does not.
  std::optional<std::uint64_t> pass(std::string_view key, MonoTime now);

 private:
  struct Seen {
    MonoTime passed;
    std::uint64_t left_out = 0;
  };

  Duration every_;
  std::map<std::string, Seen, std::less<>> seen_;
};

}  // namespace tocsin::log

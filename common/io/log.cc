#include "common/io/log.h"

#include "common/base/strings.h"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <sys/stat.h>

namespace tocsin::log {

namespace {

/// How long one value may be; the rest is cut with an ellipsis.
constexpr std::size_t kValueMax = 2048;

/// One write(2) per line, so that lines of several threads and processes do not mix.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void redirect(std::function<void(std::string_view)> to) {
    const std::scoped_lock lock(mutex_);
    to_ = std::move(to);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (to_) {
      to_(std::string_view(line.data(), line.size()));
      return;
    }
    line.push_back('\n');
    std::size_t done = 0;
    while (done < line.size()) {
      const ssize_t n = ::write(STDERR_FILENO, line.data() + done, line.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;  // Nobody reads our stderr; there is nowhere left to say so.
      done += static_cast<std::size_t>(n);
    }
  }

  void flush_() override {}

 private:
  std::function<void(std::string_view)> to_;
};

/// systemd sets JOURNAL_STREAM to device:inode of the stream that it connected to our stderr.
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;

  struct stat st {};

  if (::fstat(STDERR_FILENO, &st) != 0) return false;
  return fmt::format("{}:{}", st.st_dev, st.st_ino) == stream;
}

struct State {
  std::shared_ptr<LineSink> sink = std::make_shared<LineSink>();
  spdlog::logger logger{"tocsin", sink};
  std::atomic<Level> level{Level::kInfo};
  std::atomic<Format> format{Format::kText};
  std::atomic<bool> journal{stderr_is_journal()};

  State() {
    logger.set_level(spdlog::level::trace);
    set_pattern();
  }

  void set_pattern() {
    const char* pattern = "%Y-%m-%dT%H:%M:%S.%eZ %v";
    if (format.load() == Format::kJson) {
      pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})";
    } else if (journal.load()) {
      pattern = "%v";
    }
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>(
        pattern, spdlog::pattern_time_type::utc, std::string{}));
  }
};

State& state() {
  // Never destroyed: threads may log until the process ends.
  static State* const s = new State;
  return *s;
}

/// Syslog's numbers, which journald reads from "<N>".
int priority(Level level) {
  switch (level) {
    case Level::kDebug:
      return 7;
    case Level::kInfo:
      return 6;
    case Level::kWarning:
      return 4;
    case Level::kError:
      return 3;
  }
  return 3;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

void append_json_string(std::string& out, std::string_view s) {
  out += '"';
  for (const char c : s) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

/// Left bare when nobody could misread it; quoted otherwise.
void append_text_value(std::string& out, std::string_view raw) {
  const std::string shown = printable(raw, kValueMax);
  const bool plain = !shown.empty() && shown.find_first_of(" =\"\\") == std::string_view::npos &&
                     shown.front() != '\'';
  if (plain) {
    out += shown;
    return;
  }
  // Quotes and backslashes of its own first: those of printable stay single, and a text that ends
  // with a backslash does not eat the closing quote.
  std::string escaped;
  for (const char c : raw.substr(0, kValueMax + 4)) {  // What is cut in two is never shown.
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  out += '"';
  out += printable(escaped, kValueMax);
  out += '"';
}

std::string render_json(Level level, std::string_view event, std::span<const Field> fields) {
  std::string out = R"("level":")";
  out += to_string(level);
  out += R"(","event":)";
  append_json_string(out, printable(event, kValueMax));
  for (const Field& field : fields) {
    out += ',';
    append_json_string(out, field.key());
    out += ':';
    if (field.bare()) {
      out += field.text();
    } else {
      append_json_string(out, printable(field.text(), kValueMax));
    }
  }
  return out;
}

std::string render_text(Level level, std::string_view event, std::span<const Field> fields,
                        bool journal) {
  std::string out;
  if (journal) {
    out = fmt::format("<{}>", priority(level));
  } else {
    out = to_string(level);
    out += ' ';
  }
  out += printable(event, kValueMax);
  for (const Field& field : fields) {
    out += ' ';
    out += field.key();
    out += '=';
    append_text_value(out, field.text());
  }
  return out;
}

}  // namespace

const char* to_string(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "?";
}

Expected<Level> parse_level(std::string_view text) {
  for (const Level level : {Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    if (text == to_string(level)) return level;
  }
  return fail(Errc::kInvalid, "expected debug, info, warning or error, got \"{}\"",
              printable(text, 32));
}

Expected<Format> parse_format(std::string_view text) {
  if (text == "text") return Format::kText;
  if (text == "json") return Format::kJson;
  return fail(Errc::kInvalid, "expected text or json, got \"{}\"", printable(text, 32));
}

void configure(const Options& options) {
  State& s = state();
  s.level.store(options.level);
  s.format.store(options.format);
  s.set_pattern();
}

bool enabled(Level level) { return level >= state().level.load(std::memory_order_relaxed); }

void set_sink(std::function<void(std::string_view line)> sink) {
  state().sink->redirect(std::move(sink));
}

Field::Field(std::string_view key, double value)
    : key_(key),
      text_(fmt::format("{}", value)),
      bare_(text_.find_first_not_of("0123456789+-.e") == std::string::npos) {}

void write(Level level, std::string_view event, std::span<const Field> fields) {
  if (!enabled(level)) return;
  State& s = state();
  const std::string line = s.format.load(std::memory_order_relaxed) == Format::kJson
                               ? render_json(level, event, fields)
                               : render_text(level, event, fields, s.journal.load());
  s.logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

std::optional<std::uint64_t> RateLimit::pass(std::string_view key, MonoTime now) {
  const auto it = seen_.find(key);
  if (it == seen_.end()) {
    if (seen_.size() >= kKeysMax) seen_.clear();
    seen_.emplace(std::string(key), Seen{now, 0});
    return 0;
  }
  Seen& seen = it->second;
  if (now - seen.passed < every_) {
    ++seen.left_out;
    return std::nullopt;
  }
  seen.passed = now;
  return std::exchange(seen.left_out, 0);
}

}  // namespace tocsin::log

#include "collector/app/status_export.h"

#include "collector/app/admin_socket.h"
#include "collector/app/watched_clock.h"
#include "collector/status/publisher.h"
#include "common/io/event_loop.h"
#include "common/io/log.h"
#include "common/io/signals.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>

namespace tocsin::collector {
namespace {

/// How often the command is run when it publishes once: what the copies then say of their age.
constexpr Duration kOnceEvery = std::chrono::minutes{5};

/// A collector that needs longer is as good as silent.
constexpr Duration kPatience = std::chrono::seconds{10};

Expected<std::vector<status::PublishedFile>> read_files(const codec::Node& answer,
                                                        std::string_view key) {
  const codec::Node* list = answer.find(key);
  std::vector<status::PublishedFile> out;
  if (list != nullptr) {
    for (const codec::Node& file : list->items) {
      if (file.items.size() != 2) break;
      out.push_back({file.items[0].text, file.items[1].text});
    }
  }
  if (out.size() == kPageFiles.size()) return out;
  return fail(Errc::kCorrupt, "the collector's answer has {} files under {}, expected {}",
              out.size(), key, kPageFiles.size());
}

Expected<status::PublishedPage> ask(const CommandLine& line, const CollectorConfig& config) {
  using codec::Node;
  const Duration every = line.every == Duration{0} ? kOnceEvery : line.every;
  const Node request = Node::map({{"command", Node::string(line.command)},
                                  {"page", Node::string(line.page)},
                                  {"url", Node::string(line.url)},
                                  {"every", Node::string(format_duration(every))}});
  const auto answer = call_admin(config.admin_socket_path(), request, kPatience);
  if (!answer) {
    return fail(Errc::kUnavailable, "no collector serves on {}", config.admin_socket_path());
  }
  if (!*answer) return Unexpected{answer->error()};
  status::PublishedPage page;
  TRY_ASSIGN(page.now, read_files(**answer, "files"));
  TRY_ASSIGN(page.silent, read_files(**answer, "silent"));
  const Node* after = (*answer)->find("silent_after_s");
  if (after != nullptr) {
    page.silent_after = std::chrono::seconds{static_cast<std::int64_t>(after->number_value)};
  }
  return page;
}

bool is_passing(const Error& error) {
  return error.code == Errc::kUnavailable || error.code == Errc::kTimeout ||
         error.code == Errc::kIo;
}

Exit complain(const Error& error) {
  fmt::print(stderr, "tocsin-collector export-status: {}\n", error.text);
  return is_passing(error) ? Exit::kTemporary : Exit::kFailure;
}

/// Publishes again and again. One thread: the loop's, which blocks while the collector is asked and
/// the disk written; nothing else waits for it.
class Exporter {
 public:
  Exporter(const CommandLine& line, const CollectorConfig& config, io::EventLoop& loop,
           status::Publisher publisher)
      : line_(line),
        config_(config),
        loop_(loop),
        publisher_(std::move(publisher)) {}

  void turn() {
    const MonoTime began = loop_.now().mono;
    auto page = ask(line_, config_);
    if (page) {
      take(*std::move(page));
    } else if (!published_once_ && !is_passing(page.error())) {
      return end(page.error());
    } else {
      fail_turn(page.error());
    }
    timer_ = loop_.after(std::max(Duration{0}, began + line_.every - loop_.now().mono),
                         [this] { turn(); });
  }

  Exit exit() const { return exit_; }

 private:
  void take(status::PublishedPage page) {
    if (auto done = publisher_.publish(page.now); !done) {
      if (!published_once_) return end(done.error());
      return fail_turn(done.error());
    }
    if (!published_once_ || failing_) {
      log::info("the status page is published",
                {{"page", line_.page}, {"directory", publisher_.directory()}});
    }
    published_once_ = true;
    failing_ = false;
    silent_ = std::move(page.silent);
    silent_at_ = loop_.now().mono + page.silent_after;
  }

  void fail_turn(const Error& error) {
    if (!failing_) {
      log::warning("the status page cannot be published anew",
                   {{"page", line_.page}, {"error", error}, {"do", "nothing; it is tried again"}});
    }
    failing_ = true;
    if (silent_.empty() || loop_.now().mono < silent_at_) return;
    if (auto done = publisher_.publish(silent_); !done) {
      log::warning("the status page cannot be marked as old", {{"error", done.error()}});
      return;
    }
    silent_.clear();
    log::warning("the status page says that it is old", {{"page", line_.page}});
  }

  void end(const Error& error) {
    exit_ = complain(error);
    loop_.stop();
  }

  const CommandLine& line_;
  const CollectorConfig& config_;
  io::EventLoop& loop_;
  status::Publisher publisher_;
  bool published_once_ = false;
  bool failing_ = false;
  std::vector<status::PublishedFile> silent_;  ///< Empty once it is published.
  MonoTime silent_at_;
  Exit exit_ = Exit::kOk;
  io::TimerHandle timer_;
};

Exit export_once(const CommandLine& line, const CollectorConfig& config,
                 status::Publisher publisher) {
  const auto page = ask(line, config);
  if (!page) return complain(page.error());
  if (auto done = publisher.publish(page->now); !done) return complain(done.error());
  fmt::print("published {} files of page {} in {}\n", page->now.size(), line.page,
             publisher.directory());
  return Exit::kOk;
}

}  // namespace

Exit export_status(const CommandLine& line, const CollectorConfig& config) {
  auto publisher = status::Publisher::open(line.out);
  if (!publisher) return complain(publisher.error());
  if (line.every == Duration{0}) return export_once(line, config, *std::move(publisher));

  WatchedClock clock("export");
  io::EventLoop loop(clock);
  const io::Signals signals(loop, {SIGTERM, SIGINT}, [&loop](int) { loop.stop(); });
  Exporter exporter(line, config, loop, *std::move(publisher));
  const io::TimerHandle first = loop.after(Duration{0}, [&exporter] { exporter.turn(); });
  loop.run();
  return exporter.exit();
}

}  // namespace tocsin::collector

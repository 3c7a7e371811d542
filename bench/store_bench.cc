// How many results per second does the SQLite store commit, by the size of the group?
//
//   store_bench [DIRECTORY [SERIES [SECONDS]]]
//
// Commits groups as the collector does: result rows (four in five up, one failed with two
// attempts), one journal row per 256 results with the bytes of their frame, a stream row, now and
// then a checkpoint with a trim, and the maintainer on a thread of its own. The floor in the same
// run is the same bytes appended to a file with one fdatasync per group.

#include "collector/store/sqlite_store.h"
#include "common/base/clock.h"
#include "common/wire/frame.h"
#include "common/wire/result.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/resource.h>
#include <thread>

namespace {

using namespace tocsin;
using namespace tocsin::collector;

constexpr WallTime kStart{1'800'000'000'000'000};
constexpr std::int64_t kIntervalMs = 10'000;

double seconds_between(MonoTime a, MonoTime b) {
  return static_cast<double>((b - a).count()) / 1e6;
}

double cpu_seconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

CheckResult make_result(std::uint32_t series, std::uint32_t tick) {
  CheckResult r;
  r.series = SeriesId{series};
  r.tick = r.tick_last = tick;
  r.spec_rev = 1;
  r.config_version = 3;
  r.slot = WallTime::from_ms(static_cast<std::int64_t>(tick) * kIntervalMs + series % kIntervalMs);
  r.queue_us = 150;
  r.duration_us = 35'000 + series % 1000;
  Attempt attempt;
  attempt.phases = {0, 310, 0, 21, 34'000, 90, 34'421};
  attempt.remote = "203.0.113.10:443";
  attempt.http_status = 200;
  r.attempts = {attempt};
  if (series % 5 == 0) {
    r.outcome = Outcome::kDown;
    r.reason = Reason::kConnectRefused;
    r.attempts[0].finding = {Outcome::kDown, Reason::kConnectRefused, "connect: refused"};
    r.attempts[0].http_status = 0;
    r.attempts.push_back(r.attempts[0]);
  }
  r.clock = {0, 2};
  return r;
}

/// Walks over all series, tick by tick, as results of equal intervals arrive.
class Source {
 public:
  explicit Source(std::uint32_t series)
      : series_max_(series) {
    stream_.agent.bytes[15] = 1;
  }

  CommitGroup group(std::uint64_t seq, std::size_t results) {
    CommitGroup out;
    out.group = {.shard = 0,
                 .commit_seq = seq,
                 .now = {.mono = {}, .wall = kStart + std::chrono::milliseconds{seq}}};
    std::vector<CheckResult> frame;
    for (std::size_t i = 0; i < results; ++i) {
      if (++series_ > series_max_) {
        series_ = 1;
        ++tick_;
      }
      frame.push_back(make_result(series_, tick_));
      out.rows.emplace_back(ResultRow{.result = frame.back(),
                                      .agent = stream_.agent,
                                      .received = out.group.now.wall,
                                      .late = false});
      if (frame.size() == wire::kFrameResultsMax || i + 1 == results) {
        Bytes bytes(16, '\0');
        bytes += wire::encode_results_frame(stream_, ++frame_seq_, {}, frame);
        out.journal.push_back(
            {JournalEntry::Kind::kFrame, std::make_shared<const Bytes>(std::move(bytes))});
        frame.clear();
      }
    }
    out.rows.emplace_back(
        StreamRow{.stream = stream_, .high_water = frame_seq_, .digest = {}, .last_seen = {}});
    return out;
  }

 private:
  const std::uint32_t series_max_;
  std::uint32_t series_ = 0;
  std::uint32_t tick_ = 180'000'000;
  std::uint64_t frame_seq_ = 0;
  StreamId stream_;
};

int fail(const Error& error) {
  fmt::print(stderr, "{}\n", error.text);
  return 1;
}

/// The floor: the same journal bytes and encoded results, appended and synced per group.
double floor_rate(const std::string& directory, std::uint32_t series, std::size_t results,
                  double seconds) {
  Source source{series};
  const std::string path = directory + "/floor";
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  double spent = 0;
  std::uint64_t stored = 0;
  for (std::uint64_t seq = 1; spent < seconds; ++seq) {
    const CommitGroup group = source.group(seq, results);
    const MonoTime begin = latency_clock();
    Bytes bytes;
    for (const JournalEntry& entry : group.journal) bytes += *entry.bytes;
    for (const Row& row : group.rows) {
      if (const auto* r = std::get_if<ResultRow>(&row)) bytes += wire::encode_result(r->result);
    }
    if (::write(fd, bytes.data(), bytes.size()) < 0 || ::fdatasync(fd) != 0) return 0;
    spent += seconds_between(begin, latency_clock());
    stored += results;
  }
  ::close(fd);
  std::filesystem::remove(path);
  return static_cast<double>(stored) / spent;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string base = argc > 1 ? argv[1] : "build/store_bench";
  const auto series = static_cast<std::uint32_t>(argc > 2 ? std::atoi(argv[2]) : 30'000);
  const double seconds = argc > 3 ? std::atof(argv[3]) : 4.0;
  std::filesystem::create_directories(base);
  fmt::print("{} series, {} s per line, directory {}\n", series, seconds, base);
  fmt::print("{:>8} {:>12} {:>12} {:>11} {:>10} {:>14} {:>9}\n", "group", "results/s", "floor/s",
             "us CPU each", "ms commit", "bytes/result", "WAL MiB");
  for (const std::size_t results : {256U, 1024U, 4096U}) {
    const double floor = floor_rate(base, series, results, seconds / 4);
    const std::string directory = base + "/store";
    std::filesystem::remove_all(directory);
    auto store = SqliteStore::open({.directory = directory});
    if (!store) return fail(store.error());
    auto maintainer = SqliteMaintainer::open({.directory = directory});
    if (!maintainer) return fail(maintainer.error());

    std::array<int, 2> stop{};
    if (::pipe2(stop.data(), O_CLOEXEC) != 0) return fail({Errc::kIo, "pipe"});
    std::int64_t wal_bytes = 0;
    std::thread moving{[&] {
      pollfd wait{.fd = stop[0], .events = POLLIN, .revents = 0};
      while (::poll(&wait, 1, 200) == 0) {
        const auto report = (*maintainer)->maintain();
        if (report) wal_bytes = std::max(wal_bytes, report->wal_bytes);
      }
    }};

    Source source{series};
    std::uint64_t stored = 0;
    std::uint64_t seq = 0;
    double spent = 0;
    double cpu = 0;
    int status = 0;
    while (spent < seconds) {
      CommitGroup group = source.group(++seq, results);
      const bool checkpoint = seq % 64 == 0;
      if (checkpoint) group.checkpoint = Bytes(std::size_t{100} * series, 'c');
      const MonoTime begin = latency_clock();
      const double cpu_begin = cpu_seconds();
      const auto done = (*store)->commit(group);
      const auto trimmed = checkpoint ? (*store)->trim_journal() : Expected<void>{};
      cpu += cpu_seconds() - cpu_begin;
      spent += seconds_between(begin, latency_clock());
      if (!done || !trimmed) {
        status = fail(done ? trimmed.error() : done.error());
        break;
      }
      stored += results;
    }
    ::close(stop[1]);
    moving.join();
    ::close(stop[0]);
    maintainer->reset();
    store->reset();  // The last connection moves the rest of the log.
    if (status != 0) return status;
    const auto bytes =
        static_cast<double>(std::filesystem::file_size(directory + "/" + kSqliteFile));
    const auto n = static_cast<double>(stored);
    fmt::print("{:>8} {:>12.0f} {:>12.0f} {:>11.2f} {:>10.2f} {:>14.0f} {:>9.0f}\n", results,
               n / spent, floor, cpu * 1e6 / n, spent * 1e3 / static_cast<double>(seq), bytes / n,
               static_cast<double>(wal_bytes) / (1 << 20));
    std::filesystem::remove_all(directory);
  }
  std::filesystem::remove_all(base);
  return 0;
}

// Runs seeds of the simulated world and says which invariants held.
//
//   sim_main [--seeds N] [--first SEED] [--hours H] [--jobs J] [--trace] [--stop-early]
//
// Exit 0: no violation. 1: at least one; the seeds are printed so that they can be run again with
// --first SEED --seeds 1 --trace.

#include "common/base/clock.h"
#include "tests/sim/world.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>

namespace {

using namespace tocsin;

constexpr const char* kChecked =
    "INV-1 no loss, INV-2 no duplicate effect, INV-3 ack honesty, INV-4 contiguity, INV-5 fork "
    "safety, INV-6 order, INV-7 unknown is not up, INV-9 detection, INV-10 one incident, INV-11 "
    "timeline, INV-12 every page, INV-13 bounded extra, INV-14 no stale page, INV-15 step delays, "
    "INV-21 recovery, INV-23 clock, INV-29 determinism, INV-31 no false page, INV-32 secrets";

struct Args {
  std::uint64_t first = 1;
  std::uint64_t seeds = 20;
  int hours = 2;
  int jobs = 1;
  bool trace = false;
  bool stop_early = false;
};

bool parse(int argc, char** argv, Args& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> long { return i + 1 < argc ? std::atol(argv[++i]) : -1; };
    if (name == "--seeds") {
      out.seeds = static_cast<std::uint64_t>(value());
    } else if (name == "--first") {
      out.first = static_cast<std::uint64_t>(value());
    } else if (name == "--hours") {
      out.hours = static_cast<int>(value());
    } else if (name == "--jobs") {
      out.jobs = static_cast<int>(value());
    } else if (name == "--trace") {
      out.trace = true;
    } else if (name == "--stop-early") {
      out.stop_early = true;
    } else {
      return false;
    }
  }
  return out.seeds > 0 && out.hours > 0 && out.jobs > 0;
}

struct Totals {
  std::uint64_t failed = 0, steps = 0, results = 0, incidents = 0, faults = 0, forks = 0;
};

sim::Report run_once(std::uint64_t seed, const Args& args) {
  sim::World world{{.seed = seed, .length = std::chrono::hours{args.hours}, .trace = args.trace}};
  return world.run();
}

Totals run_share(const Args& args, int job) {
  Totals t;
  for (std::uint64_t s = args.first + static_cast<std::uint64_t>(job); s < args.first + args.seeds;
       s += static_cast<std::uint64_t>(args.jobs)) {
    sim::Report report = run_once(s, args);
    if (s % 10 == 0) {
      const sim::Report again = run_once(s, args);
      if (again.trace_digest != report.trace_digest) {
        report.violations.push_back({"INV-29", "the same seed gave another trace", Duration{0}});
      }
    }
    t.steps += report.steps;
    t.results += report.counts["results"];
    t.incidents += report.counts["incidents"];
    t.forks += report.counts["forks"];
    for (const auto& [name, n] : report.counts) {
      const bool fault = name.find("kill") != std::string::npos ||
                         name.find("cut") != std::string::npos ||
                         name.find("crash") != std::string::npos || name == "clock_step" ||
                         name == "slow_disk" || name == "provider_down" || name == "state_restored";
      if (fault) t.faults += n;
    }
    if (!report.violations.empty()) {
      ++t.failed;
      for (const sim::Violation& v : report.violations) {
        std::printf("seed %llu at %s: %s: %s\n", static_cast<unsigned long long>(s),
                    format_duration_short(v.at).c_str(), v.invariant.c_str(), v.text.c_str());
      }
      std::fflush(stdout);
      if (args.stop_early) return t;
    }
  }
  return t;
}

}  // namespace

int main(int argc, char** argv) {
  Args args;
  if (!parse(argc, argv, args)) {
    std::fprintf(stderr,
                 "usage: sim_main [--seeds N] [--first SEED] [--hours H] [--jobs J] [--trace] "
                 "[--stop-early]\n");
    return 2;
  }
  const MonoTime start = latency_clock();
  Totals total;
  std::vector<std::pair<pid_t, int>> children;
  for (int job = 0; job < args.jobs; ++job) {
    int fds[2];
    if (pipe(fds) != 0) return 1;
    const pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) {
      const Totals t = run_share(args, job);
      std::fflush(stdout);
      if (write(fds[1], &t, sizeof t) != sizeof t) _exit(1);
      _exit(0);
    }
    close(fds[1]);
    children.emplace_back(pid, fds[0]);
  }
  bool broken = false;
  for (const auto& [pid, fd] : children) {
    Totals t;
    const bool got = read(fd, &t, sizeof t) == sizeof t;
    int status = 0;
    waitpid(pid, &status, 0);
    close(fd);
    if (!got || status != 0) {
      std::printf("a worker died with status %d: a CHECK failed, see above\n", status);
      broken = true;
      continue;
    }
    total.failed += t.failed;
    total.steps += t.steps;
    total.results += t.results;
    total.incidents += t.incidents;
    total.faults += t.faults;
    total.forks += t.forks;
  }
  std::printf(
      "sim: seeds %llu..%llu, %d h each, %llu faults, %llu results, %llu incidents, %llu forks, "
      "%llu steps in %s; %llu seeds with violations\nchecked: %s\n",
      static_cast<unsigned long long>(args.first),
      static_cast<unsigned long long>(args.first + args.seeds - 1), args.hours,
      static_cast<unsigned long long>(total.faults), static_cast<unsigned long long>(total.results),
      static_cast<unsigned long long>(total.incidents),
      static_cast<unsigned long long>(total.forks), static_cast<unsigned long long>(total.steps),
      format_duration_short(latency_clock() - start).c_str(),
      static_cast<unsigned long long>(total.failed), kChecked);
  return total.failed == 0 && !broken ? 0 : 1;
}

#pragma once
// Attempts on a real loop against real loopback peers.

#include "agent/probe/probe_pool.h"
#include "common/base/clock.h"
#include "tests/support/loopback_client.h"
#include "tests/support/loopback_server.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

namespace tocsin::agent {

inline EgressPolicy loopback_only() {
  return *EgressPolicy::parse("private", {"127.0.0.0/8", "::1"}, {});
}

class Probing : public testing::Test {
 protected:
  Probing() {
    std::signal(SIGPIPE, SIG_IGN);
    open({});
  }

  /// Replaces the pool. Loopback is allowed unless the options say otherwise.
  void open(ProbePoolOptions options) {
    if (options.egress == EgressPolicy{}) options.egress = loopback_only();
    open_as_is(std::move(options));
  }

  void open_as_is(ProbePoolOptions options) {
    options.region = "test";
    options.load_roots = false;
    pool_.reset();
    auto opened = ProbePool::open(loop_, std::move(options));
    ASSERT_TRUE(opened) << opened.error().text;
    pool_ = *std::move(opened);
  }

  /// One attempt to its end.
  Observation run(Target target, Duration timeout = 10s, IpFamily family = IpFamily::kAny) {
    ProbeSpec spec;
    spec.target = std::move(target);
    spec.family = family;
    return run_spec(std::move(spec), timeout);
  }

  Observation run_spec(ProbeSpec spec, Duration timeout = 10s) {
    std::optional<Observation> result;
    const auto handle = pool_->start(std::make_shared<const ProbeSpec>(std::move(spec)), timeout,
                                     [&result](Observation seen) { result = std::move(seen); });
    EXPECT_FALSE(result) << "called inside start()";
    EXPECT_TRUE(test::turn_until(loop_, [&] { return result.has_value(); }));
    if (!result) return {};
    const Phases& p = result->phases;
    EXPECT_EQ(p.total_us,
              p.dns_us + p.connect_us + p.tls_us + p.send_us + p.wait_us + p.receive_us);
    return *result;
  }

  static Reason reason_of(const Observation& seen) {
    return seen.failure ? seen.failure->reason : Reason::kNone;
  }

  static std::string detail_of(const Observation& seen) {
    return seen.failure ? seen.failure->detail : "no failure";
  }

  SystemClock clock_;
  io::EventLoop loop_{clock_};
  std::unique_ptr<ProbePool> pool_;
};

}  // namespace tocsin::agent

#include "agent/app/enrol.h"

#include "tests/unit/agent/uplink/fake_collector.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <atomic>
#include <thread>

namespace tocsin::agent {
namespace {

/// A collector on a thread of its own that answers Enrol as told.
class EnrollingCollector {
 public:
  enum class Mode { kAnswer, kSwallow };

  explicit EnrollingCollector(Mode mode)
      : mode_(mode) {}

  ~EnrollingCollector() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void admit(const std::string& key) { collector_.admit(key); }  // Before there is a bundle.

  /// From now on it answers.
  Bundle bundle(const io::CurveKeyPair& keys) {
    if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
    return {.endpoints = {collector_.endpoint()},
            .server_keys = {collector_.keys().public_key},
            .region = "eu-west",
            .keys = keys,
            .expires = WallTime::never()};
  }

  int asked() const { return asked_; }

 private:
  void serve() {
    while (!stop_) {
      collector_.pump(5ms);
      while (!collector_.got.empty()) {
        const auto got = collector_.got.front();
        collector_.got.pop_front();
        const auto message = wire::decode_agent_message(as_bytes(got.body));
        if (!message || !std::holds_alternative<Enrol>(*message)) continue;
        ++asked_;
        if (mode_ == Mode::kSwallow) continue;
        collector_.reply(got.routing_id, Enrolled{AgentId{{7}}, "eu-west"});
      }
    }
  }

  FakeCollector collector_;
  const Mode mode_;
  std::atomic<bool> stop_{false};
  std::atomic<int> asked_{0};
  std::thread thread_;
};

class EnrolTest : public testing::Test {
 protected:
  EnrolOptions options(Duration patience = 20s) {
    return {.state_dir = dir_ / "state",
            .identity_path = dir_ / "state/identity.yaml",
            .pending_path = dir_ / "state/enrolment.pending",
            .patience = patience};
  }

  ScratchDir dir_;
  SystemClock clock_;
  io::EventLoop loop_{clock_};
  io::CurveKeyPair one_time_ = io::make_curve_keypair().value();
};

TEST_F(EnrolTest, TheAnswerMakesTheIdentity) {
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  collector.admit(one_time_.public_key);
  const Bundle bundle = collector.bundle(one_time_);
  const auto identity = enrol(loop_, bundle, options());
  ASSERT_TRUE(identity.has_value()) << identity.error().text;
  EXPECT_EQ(identity->agent, (AgentId{{7}}));
  EXPECT_EQ(identity->region, "eu-west");
  EXPECT_NE(identity->keys.public_key, one_time_.public_key);
  EXPECT_EQ(identity->endpoints, bundle.endpoints);
  EXPECT_EQ(load_identity(options().identity_path)->keys.public_key, identity->keys.public_key);
  EXPECT_FALSE(std::filesystem::exists(options().pending_path));

  const auto twice = enrol(loop_, bundle, options());
  ASSERT_FALSE(twice.has_value());
  EXPECT_EQ(twice.error().code, Errc::kExists);
}

TEST_F(EnrolTest, KeysAreStoredBeforeTheyAreOfferedAndOfferedThemselvesAfterALostAnswer) {
  std::string offered;
  {
    EnrollingCollector collector(EnrollingCollector::Mode::kSwallow);
    collector.admit(one_time_.public_key);
    const auto lost = enrol(loop_, collector.bundle(one_time_), options(500ms));
    ASSERT_FALSE(lost.has_value());
    EXPECT_EQ(lost.error().code, Errc::kUnavailable);
    EXPECT_EQ(collector.asked(), 1);
    offered = load_pending_keys(options().pending_path)->public_key;
  }
  // The collector had committed: it knows the agent's own key, and the one-time key is used up.
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  collector.admit(offered);
  const auto identity = enrol(loop_, collector.bundle(one_time_), options());
  ASSERT_TRUE(identity.has_value()) << identity.error().text;
  EXPECT_EQ(identity->keys.public_key, offered);
}

TEST_F(EnrolTest, WhenItsOwnKeyIsRefusedTheBundleIsUsedAgainWithTheSameKeys) {
  const auto pending = io::make_curve_keypair().value();
  std::filesystem::create_directory(dir_ / "state");
  ASSERT_TRUE(store_pending_keys(options().pending_path, pending).has_value());
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  collector.admit(one_time_.public_key);
  const auto identity = enrol(loop_, collector.bundle(one_time_), options());
  ASSERT_TRUE(identity.has_value()) << identity.error().text;
  EXPECT_EQ(identity->keys.public_key, pending.public_key);
}

TEST_F(EnrolTest, AUsedBundleSaysHowToGetANewOne) {
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  const auto refused = enrol(loop_, collector.bundle(one_time_), options());
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::kDenied);
  EXPECT_NE(refused.error().text.find("tocsin-collector enroll --region eu-west"),
            std::string::npos);
  EXPECT_TRUE(std::filesystem::exists(options().pending_path));
}

TEST_F(EnrolTest, ABundleThatNamesItsAgentRenewsTheKeyAndNothingElse) {
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  collector.admit(one_time_.public_key);
  Bundle bundle = collector.bundle(one_time_);
  bundle.agent = AgentId{{7}};
  // There is nobody yet whose key could be renewed.
  EXPECT_EQ(enrol(loop_, bundle, options()).error().code, Errc::kInvalid);
  bundle.agent.reset();
  const auto before = enrol(loop_, bundle, options());
  ASSERT_TRUE(before) << before.error().text;

  bundle.agent = AgentId{{8}};
  const auto other = enrol(loop_, bundle, options());
  EXPECT_EQ(other.error().code, Errc::kInvalid);
  EXPECT_NE(other.error().text.find("is agent " + before->agent.str()), std::string::npos)
      << other.error().text;
  EXPECT_EQ(collector.asked(), 1);

  bundle.agent = AgentId{{7}};
  const auto after = enrol(loop_, bundle, options());
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(after->agent, before->agent);
  EXPECT_NE(after->keys.public_key, before->keys.public_key);
  EXPECT_EQ(load_identity(options().identity_path)->keys.public_key, after->keys.public_key);
}

TEST_F(EnrolTest, AnExpiredBundleIsNotEvenTried) {
  EnrollingCollector collector(EnrollingCollector::Mode::kAnswer);
  collector.admit(one_time_.public_key);
  Bundle bundle = collector.bundle(one_time_);
  bundle.expires = WallTime{0};
  EXPECT_EQ(enrol(loop_, bundle, options()).error().code, Errc::kDenied);
  EXPECT_EQ(collector.asked(), 0);
}

}  // namespace
}  // namespace tocsin::agent

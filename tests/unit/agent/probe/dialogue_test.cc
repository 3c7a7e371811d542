#include "agent/probe/dialogue.h"

#include "tests/unit/agent/probe/probing.h"

#include <future>

namespace tocsin::agent {
namespace {

using test::LoopbackServer;
using test::Peer;

std::string expanded(std::string_view text) {
  const auto pattern = *assertion::Regex::compile("(?P<who>w\\w+)-(x)?(\\d+)");
  const std::string line = "hello world-42!";
  const auto match = pattern.find(line);
  return match ? expand_groups(text, *match) : "no match";
}

TEST(Regex, FindsTheLeftmostMatchWithItsGroups) {
  const auto pattern = *assertion::Regex::compile("(a+)(?P<b>b)?");
  const auto match = pattern.find("xaay aab");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->groups, (std::vector<std::string_view>{"aa", "aa", ""}));
  EXPECT_EQ(match->named.at("b"), "");
  EXPECT_FALSE(pattern.find("xyz"));
}

TEST(Dialogue, GroupsAreReplacedAsGoDoesIt) {
  EXPECT_EQ(expanded("PONG ${1}"), "PONG world");
  EXPECT_EQ(expanded("$1 $who ${who} $3 $0"), "world world world 42 world-42");
  EXPECT_EQ(expanded("$2|$9|$nobody|$1x|${1}x"), "||||worldx") << "the longest name counts";
  EXPECT_EQ(expanded("$$1 cost $ 5 ${ ${1 $-"), "$1 cost $ 5 ${ ${1 $-");
  EXPECT_EQ(expanded("$"), "$");
}

class DialogueProbing : public Probing {
 protected:
  struct Step {
    std::string expect;
    std::string send;
  };

  Observation talk(std::uint16_t port, const std::vector<Step>& steps, Duration timeout = 10s) {
    auto dialogue = std::make_shared<Dialogue>();
    for (const Step& step : steps) {
      DialogueStep& made = dialogue->steps.emplace_back();
      if (!step.expect.empty()) made.expect = *assertion::Regex::compile(step.expect);
      made.send = step.send;
    }
    ProbeSpec spec;
    TcpTarget target;
    target.host = "example.test";
    target.port = port;
    spec.target = target;
    ProbeWishes wishes;
    wishes.address = IpAddress::v4({127, 0, 0, 1});  // The name is never looked up.
    wishes.dialogue = std::move(dialogue);
    std::optional<Observation> seen;
    const auto handle =
        pool_->start(std::make_shared<const ProbeSpec>(std::move(spec)), timeout, std::move(wishes),
                     [&seen](Observation o) { seen = std::move(o); });
    EXPECT_FALSE(seen) << "called inside start()";
    EXPECT_TRUE(test::turn_until(loop_, [&] { return seen.has_value(); }));
    return seen ? *seen : Observation{};
  }
};

TEST_F(DialogueProbing, ConnectingIsEnoughWhenNothingIsSaid) {
  const LoopbackServer server{[](Peer& peer) { peer.stall(); }};
  const Observation seen = talk(server.port(), {});
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  EXPECT_EQ(seen.remote, fmt::format("127.0.0.1:{}", server.port()));
}

TEST_F(DialogueProbing, SpeaksLineByLineInWhateverPiecesLinesCome) {
  std::promise<std::string> heard;
  const LoopbackServer server{[&heard](Peer& peer) {
    peer.write("220-wait\r\n22");
    peer.write("0 mx.test ESMTP\r\n250 early\r\n");
    heard.set_value(peer.read_until("QUIT $1\n"));
    peer.stall();
  }};
  const Observation seen = talk(
      server.port(), {{"^220 ([^ ]+) ESMTP$", "EHLO $1\r"}, {"^250 (e.*)$", ""}, {"", "QUIT $1"}});
  EXPECT_EQ(seen.failure, std::nullopt) << detail_of(seen);
  auto got = heard.get_future();
  ASSERT_EQ(got.wait_for(std::chrono::seconds{10}), std::future_status::ready);
  EXPECT_EQ(got.get(), "EHLO mx.test\r\nQUIT $1\n") << "only after an expect it is a template";
}

TEST_F(DialogueProbing, WhatTheServerSaysLastNeedsNoEnd) {
  const LoopbackServer server{[](Peer& peer) {
    peer.write("hello\nbye");
    peer.close();
  }};
  EXPECT_EQ(talk(server.port(), {{"hello", ""}, {"^bye$", ""}}).failure, std::nullopt);
  EXPECT_EQ(talk(server.port(), {{"^bye$", ""}}).failure, std::nullopt);
  const Observation seen = talk(server.port(), {{"^by$", ""}});
  EXPECT_EQ(seen.failure,
            (Failure{Reason::kTcpClosed,
                     fmt::format("127.0.0.1:{} closed without the line that step 1 waits for; its "
                                 "last was \"bye\"",
                                 server.port())}));
}

TEST_F(DialogueProbing, ALineThatIsNotEndedDoesNotMatchAndHasABound) {
  const LoopbackServer slow{[](Peer& peer) {
    peer.write("SSH-2.0");
    peer.stall();
  }};
  EXPECT_EQ(reason_of(talk(slow.port(), {{"^SSH", ""}}, 150ms)), Reason::kTcpTimeout);
  const LoopbackServer endless{[](Peer& peer) {
    peer.write(std::string(100'000, 'x'));
    peer.stall();
  }};
  EXPECT_EQ(reason_of(talk(endless.port(), {{"y", ""}})), Reason::kTcpUnexpected);
  const LoopbackServer chatty{[](Peer& peer) {
    for (int i = 0; i < 30'000; ++i)
      peer.write("nothing that anybody waits for, again and again\n");
    peer.stall();
  }};
  EXPECT_EQ(reason_of(talk(chatty.port(), {{"^y", ""}})), Reason::kTcpUnexpected);
}

TEST_F(DialogueProbing, EgressJudgesTheGivenAddress) {
  ProbePoolOptions options;
  options.egress = *EgressPolicy::parse("private", {"10.0.0.0/8"}, {});
  open(std::move(options));
  EXPECT_EQ(reason_of(talk(1, {})), Reason::kPolicyDeniedAddress);
}

}  // namespace
}  // namespace tocsin::agent

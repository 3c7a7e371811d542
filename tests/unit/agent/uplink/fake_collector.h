#pragma once
// Question answered here: what is the least that answers an agent over the real transport?

#include "common/io/zmq_socket.h"
#include "common/wire/messages.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <set>
#include <string>

namespace tocsin::agent {

/// A router with a ZAP handler in one object, driven by `pump`. It understands nothing: tests look
/// at what came and say what goes back.
class FakeCollector {
 public:
  struct Got {
    Bytes routing_id;
    wire::PartKind kind = wire::PartKind::kAgent;
    Bytes body;
  };

  explicit FakeCollector(std::string endpoint = "tcp://127.0.0.1:0")
      : FakeCollector(io::make_curve_keypair().value(), std::move(endpoint)) {}

  FakeCollector(const io::CurveKeyPair& keys, std::string endpoint)
      : keys_(keys),
        zap_(io::ZmqSocket::replier(context_).value()) {
    EXPECT_TRUE(zap_->bind(io::ZmqSocket::kZapEndpoint).has_value());
    router_ = io::ZmqSocket::router(context_, {.secret_key = keys_.secret_key}).value();
    const auto bound = router_->bind(endpoint);
    EXPECT_TRUE(bound.has_value()) << bound.error().text;
  }

  const io::CurveKeyPair& keys() const { return keys_; }

  std::string endpoint() const { return router_->bound_endpoint(); }

  void admit(const std::string& public_key) { known_.insert(public_key); }

  /// Answers ZAP and takes what has arrived; waits at most `at_most`.
  void pump(Duration at_most) {
    std::array<io::ZmqWaitItem, 2> items{io::ZmqWaitItem{.socket = zap_.get()},
                                         io::ZmqWaitItem{.socket = router_.get()}};
    EXPECT_TRUE(io::zmq_wait(items, at_most).has_value());
    while (auto request = zap_->receive().value()) answer(*request);
    while (auto message = router_->receive().value()) {
      if (message->parts.size() != 3) continue;
      const auto head = wire::decode_head(as_bytes(message->parts[1]));
      ASSERT_TRUE(head.has_value());
      got.push_back({message->parts[0], head->kind, message->parts[2]});
    }
  }

  void reply(const Bytes& routing_id, const CollectorMessage& message) {
    send_raw(routing_id, wire::encode_head(wire::PartKind::kCollector), wire::encode(message));
  }

  void send_raw(const Bytes& routing_id, const Bytes& head, const Bytes& body) {
    const std::array<std::string_view, 3> parts{routing_id, head, body};
    const auto sent = router_->send(parts);
    EXPECT_TRUE(sent.has_value()) << sent.error().text;
  }

  std::deque<Got> got;

 private:
  void answer(const io::ZmqMessage& request) {
    ASSERT_EQ(request.parts.size(), 7U);
    const bool ok = known_.contains(io::curve_key_from_raw(as_bytes(request.parts[6])));
    const std::array<std::string_view, 6> reply{"1.0", request.parts[1],  ok ? "200" : "400",
                                                "",    ok ? "agent" : "", ""};
    EXPECT_TRUE(zap_->send(reply).has_value());
  }

  io::ZmqContext context_;
  io::CurveKeyPair keys_;
  std::unique_ptr<io::ZmqSocket> zap_;
  std::unique_ptr<io::ZmqSocket> router_;
  std::set<std::string> known_;
};

}  // namespace tocsin::agent

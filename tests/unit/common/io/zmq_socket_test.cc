#include "common/io/zmq_socket.h"

#include "common/base/clock.h"
#include "common/io/fd.h"

#include <gtest/gtest.h>

#include <atomic>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

namespace tocsin::io {
namespace {

using Kind = ZmqEvent::Kind;

CurveKeyPair keys() { return make_curve_keypair().value(); }

/// Answers ZAP requests on a thread of its own: `known` is let in as "agent-1", others are not.
class Zap {
 public:
  Zap(ZmqContext& context, std::string known)
      : socket_(ZmqSocket::replier(context).value()),
        known_(std::move(known)) {
    EXPECT_TRUE(socket_->bind(ZmqSocket::kZapEndpoint).has_value());
    thread_ = std::thread([this] { serve(); });
  }

  ~Zap() {
    stop_ = true;
    thread_.join();
  }

 private:
  void serve() {
    while (!stop_) {
      std::array<ZmqWaitItem, 1> items{ZmqWaitItem{.socket = socket_.get()}};
      (void)zmq_wait(items, 20ms);
      const auto request = socket_->receive();
      if (!request || !*request) continue;
      const auto& parts = (*request)->parts;
      const bool ok = parts.size() == 7 && curve_key_from_raw(as_bytes(parts[6])) == known_;
      const std::array<std::string_view, 6> reply{
          "1.0", parts[1], ok ? "200" : "400", ok ? "OK" : "NO", ok ? "agent-1" : "", ""};
      EXPECT_TRUE(socket_->send(reply).has_value());
    }
  }

  std::unique_ptr<ZmqSocket> socket_;
  std::string known_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Polls real I/O, at most 20 s. Waiting for the sockets would spin: events nobody takes stay
/// ready.
template <class F>
bool eventually(F done) {
  const MonoTime deadline = latency_clock() + 20s;
  while (!done()) {
    if (latency_clock() > deadline) return false;
    EXPECT_TRUE(zmq_wait({}, 2ms).has_value());
  }
  return true;
}

bool saw(ZmqSocket& socket, Kind wanted, std::vector<ZmqEvent>& seen) {
  while (auto event = socket.next_event()) seen.push_back(*event);
  return std::any_of(seen.begin(), seen.end(), [&](const ZmqEvent& e) { return e.kind == wanted; });
}

struct Ends {
  std::unique_ptr<ZmqSocket> router;
  std::unique_ptr<ZmqSocket> dealer;
};

Ends connect(ZmqContext& context, const CurveKeyPair& server, const std::string& server_key,
             const CurveKeyPair& client) {
  Ends ends{ZmqSocket::router(context, {.secret_key = server.secret_key}).value(),
            ZmqSocket::dealer(context, {.keys = client, .server_key = server_key}).value()};
  EXPECT_TRUE(ends.router->bind("tcp://127.0.0.1:0").has_value());
  EXPECT_TRUE(ends.dealer->connect(ends.router->bound_endpoint()).has_value());
  return ends;
}

TEST(ZmqSocket, TheRightKeysConnectAndTheRouterLearnsTheUserFromZap) {
  ZmqContext context;
  const auto server = keys();
  const auto client = keys();
  const Zap zap(context, client.public_key);
  const Ends ends = connect(context, server, server.public_key, client);
  std::vector<ZmqEvent> seen;
  ASSERT_TRUE(eventually([&] { return saw(*ends.dealer, Kind::kHandshakeSucceeded, seen); }));

  const std::array<std::string_view, 2> hello{"head", "body"};
  ASSERT_TRUE(ends.dealer->send(hello).has_value());
  std::optional<ZmqMessage> got;
  ASSERT_TRUE(eventually([&] {
    got = ends.router->receive().value();
    return got.has_value();
  }));
  ASSERT_EQ(got->parts.size(), 3U);
  EXPECT_EQ(got->parts[0].size(), 16U);
  EXPECT_EQ(got->parts[1], "head");
  EXPECT_EQ(got->parts[2], "body");
  EXPECT_EQ(got->user_id, "agent-1");
  EXPECT_EQ(got->peer_address, "127.0.0.1");
  EXPECT_GE(got->source_fd, 0);

  const std::array<std::string_view, 2> answer{got->parts[0], "welcome"};
  ASSERT_TRUE(ends.router->send(answer).has_value());
  std::optional<ZmqMessage> back;
  ASSERT_TRUE(eventually([&] {
    back = ends.dealer->receive().value();
    return back.has_value();
  }));
  EXPECT_EQ(back->parts, std::vector<Bytes>{"welcome"});
}

TEST(ZmqSocket, AWrongServerKeyFailsTheHandshakeAndSendsNothing) {
  ZmqContext context;
  const auto server = keys();
  const auto client = keys();
  const Zap zap(context, client.public_key);
  const Ends ends = connect(context, server, keys().public_key, client);
  std::vector<ZmqEvent> seen;
  EXPECT_TRUE(eventually([&] { return saw(*ends.dealer, Kind::kHandshakeFailed, seen); }));
  const std::array<std::string_view, 1> hello{"hello"};
  const auto sent = ends.dealer->send(hello);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, Errc::kUnavailable);
}

TEST(ZmqSocket, AnUnknownClientKeyIsRefusedByZap) {
  ZmqContext context;
  const auto server = keys();
  const Zap zap(context, keys().public_key);
  const Ends ends = connect(context, server, server.public_key, keys());
  std::vector<ZmqEvent> seen;
  ASSERT_TRUE(eventually([&] { return saw(*ends.dealer, Kind::kHandshakeRefused, seen); }));
  const auto refused = std::find_if(seen.begin(), seen.end(), [](const ZmqEvent& e) {
    return e.kind == Kind::kHandshakeRefused;
  });
  EXPECT_EQ(refused->value, 400);
}

TEST(ZmqSocket, WithoutAZapHandlerNobodyGetsIn) {
  ZmqContext context;
  const auto server = keys();
  const Ends ends = connect(context, server, server.public_key, keys());
  std::vector<ZmqEvent> seen;
  ASSERT_TRUE(eventually([&] {
    return saw(*ends.dealer, Kind::kDisconnected, seen) ||
           saw(*ends.dealer, Kind::kHandshakeFailed, seen);
  }));
  EXPECT_FALSE(saw(*ends.dealer, Kind::kHandshakeSucceeded, seen));
}

TEST(ZmqSocket, NobodyListeningIsAConnectFailure) {
  // Bound but not listening: nobody else can take the port meanwhile.
  const Fd reserved(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(reserved.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(reserved.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  ZmqContext context;
  const auto dealer =
      ZmqSocket::dealer(context, {.keys = keys(), .server_key = keys().public_key}).value();
  ASSERT_TRUE(dealer->connect(endpoint).has_value());
  std::vector<ZmqEvent> seen;
  EXPECT_TRUE(eventually([&] { return saw(*dealer, Kind::kConnectFailed, seen); }));
}

TEST(ZmqSocket, AMessageToAPeerThatIsGoneIsAnError) {
  ZmqContext context;
  const auto router = ZmqSocket::router(context, {.secret_key = keys().secret_key}).value();
  const std::array<std::string_view, 2> message{"nobody-has-this-", "x"};
  const auto sent = router->send(message);
  ASSERT_FALSE(sent.has_value());
  EXPECT_EQ(sent.error().code, Errc::kNotFound);
}

TEST(ZmqSocket, AnOversizedMessageCutsTheConnection) {
  ZmqContext context;
  const auto server = keys();
  const auto client = keys();
  const Zap zap(context, client.public_key);
  const Ends ends = connect(context, server, server.public_key, client);
  std::vector<ZmqEvent> seen;
  ASSERT_TRUE(eventually([&] { return saw(*ends.dealer, Kind::kHandshakeSucceeded, seen); }));
  const std::string big(600 * 1024, 'x');
  const std::array<std::string_view, 1> message{big};
  ASSERT_TRUE(ends.dealer->send(message).has_value());
  std::vector<ZmqEvent> router_seen;
  EXPECT_TRUE(eventually([&] { return saw(*ends.router, Kind::kDisconnected, router_seen); }));
  EXPECT_FALSE(ends.router->receive().value().has_value());
}

/// libzmq 4.3 ends the process ("Assertion failed: !_io_error") when its own heartbeat meets a
/// connection that broke while its input was stopped, as it is when the owner does not read.
TEST(ZmqSocket, APeerThatBreaksWhileItsMessagesWaitEndsNothing) {
  ZmqContext context;
  const auto server = keys();
  const auto client = keys();
  const Zap zap(context, client.public_key);
  auto router = ZmqSocket::router(context, {.secret_key = server.secret_key}).value();
  ASSERT_TRUE(router->bind("tcp://127.0.0.1:0").has_value());
  const MonoTime begin = latency_clock();
  {
    ZmqContext far;
    auto dealer = ZmqSocket::dealer(far, {.keys = client, .server_key = server.public_key}).value();
    ASSERT_TRUE(dealer->connect(router->bound_endpoint()).has_value());
    std::vector<ZmqEvent> seen;
    ASSERT_TRUE(eventually([&] { return saw(*dealer, Kind::kHandshakeSucceeded, seen); }));
    const auto connected = std::find_if(
        seen.begin(), seen.end(), [](const ZmqEvent& e) { return e.kind == Kind::kConnected; });
    ASSERT_NE(connected, seen.end());
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(connected->value, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    // Until every queue on the way is full and nothing has moved for a while.
    const std::string message(256 * 1024, 'x');
    const std::array<std::string_view, 1> parts{message};
    int refused = 0;
    for (int sent = 0; refused < 50 && sent < 1000;) {
      if (dealer->send(parts)) {
        ++sent;
        refused = 0;
      } else {
        ++refused;
        ASSERT_TRUE(zmq_wait({}, 10ms).has_value());
      }
    }
    ASSERT_GE(refused, 50);
  }
  // Longer than a heartbeat of any kind that we ever had.
  ASSERT_TRUE(eventually([&] { return latency_clock() > begin + 7s; }));
  const auto first = router->receive();
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->has_value()) << "what had come is still there";
}

TEST(CurveKey, OnlyFortyCharactersOfZ85AreAKey) {
  const auto pair = keys();
  EXPECT_TRUE(is_curve_key(pair.public_key));
  EXPECT_EQ(curve_public_of(pair.secret_key).value(), pair.public_key);
  EXPECT_FALSE(is_curve_key(pair.public_key.substr(1)));
  EXPECT_FALSE(is_curve_key(pair.public_key + "0"));
  std::string bad = pair.public_key;
  bad[7] = '"';
  EXPECT_FALSE(is_curve_key(bad));
  EXPECT_EQ(curve_key_from_raw(as_bytes("short")), "");
}

}  // namespace
}  // namespace tocsin::io

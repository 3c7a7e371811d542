// The HTTP server over TLS, asked by curl and by OpenSSL's own client.

#include "common/io/http_server.h"
#include "tests/support/loopback_client.h"
#include "tests/support/test_certificate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace tocsin::io {
namespace {

using test::LoopbackClient;
using test::ManualClock;
using test::settle;
using test::turn_until;

class HttpTlsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "tocsin-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    dir = pattern;
    write_certificate();
  }

  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(dir);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream{dir / name} << text;
  }

  void write_certificate() {
    const test::Certificate made = test::make_certificate({.addresses = {"127.0.0.1"}});
    write("cert.pem", made.pem);
    write("key.pem", made.key_pem);
    write("ca.pem", made.ca_pem);
  }

  HttpServerOptions options() const {
    return {.listen = "127.0.0.1:0",
            .tls = HttpTlsFiles{.certificate = dir / "cert.pem", .key = dir / "key.pem"}};
  }

  void open() {
    auto opened =
        HttpServer::open(loop, options(), [this](const codec::HttpRequest& r, HttpResponder out) {
          if (r.path == "/events") {
            stream = std::move(out).start_stream({.content_type = "text/event-stream"});
            return;
          }
          std::move(out).send(HttpResponse::text(
              200, r.path == "/big" ? std::string(3 << 20, 'b') : r.path + ":" + r.body));
        });
    ASSERT_TRUE(opened) << opened.error().text;
    server = *std::move(opened);
    url = fmt::format("https://127.0.0.1:{}", server->port());
  }

  /// What the command prints, while the loop turns.
  std::string run(const std::string& command) {
    std::string out;
    std::atomic<bool> done{false};
    std::jthread other{[&] {
      FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
      std::array<char, 4096> buffer;
      for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
        out.append(buffer.data(), n);
      }
      ::pclose(pipe);
      done = true;
    }};
    turn_until(loop, [&] { return done.load(); });
    other.join();
    return out;
  }

  std::string curl(const std::string& more) {
    return run(fmt::format("curl -q -s -S --noproxy '*' --max-time 8 --cacert {} {}",
                           (dir / "ca.pem").string(), more));
  }

  std::string s_client(const std::string& more) {
    return run(fmt::format("timeout 8 openssl s_client -connect 127.0.0.1:{} -CAfile {} {}",
                           server->port(), (dir / "ca.pem").string(), more));
  }

  ManualClock clock;
  EventLoop loop{clock};
  std::filesystem::path dir;
  std::string url;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpStream> stream;
};

TEST_F(HttpTlsTest, AnswersCurlOverEachVersionItSpeaks) {
  open();
  EXPECT_EQ(curl(url + "/a"), "/a:");
  EXPECT_EQ(curl("--tls-max 1.2 " + url + "/b"), "/b:");
  EXPECT_EQ(curl("--data hello " + url + "/c " + url + "/d"), "/c:hello/d:hello");
  EXPECT_EQ(server->stats().accepted, 3U) << "the last two share a connection";
  EXPECT_EQ(curl("-o /dev/null -w '%{http_version} %{size_download} %{ssl_verify_result}' " + url +
                 "/big"),
            "1.1 3145728 0");
}

TEST_F(HttpTlsTest, RefusesOldVersionsAndOtherProtocols) {
  open();
  const std::string old = s_client("-tls1_1 -cipher ALL:@SECLEVEL=0 </dev/null");
  EXPECT_NE(old.find("alert protocol version"), std::string::npos) << old;
  const std::string h2 = s_client("-alpn h2 </dev/null");
  EXPECT_NE(h2.find("no application protocol"), std::string::npos) << h2;
  const std::string both = s_client("-alpn h2,http/1.1 </dev/null");
  EXPECT_NE(both.find("ALPN protocol: http/1.1"), std::string::npos) << both;
  EXPECT_EQ(server->stats().tls_failed, 2U);
}

TEST_F(HttpTlsTest, PlainHttpAtATlsPortIsClosedWithoutAnAnswer) {
  open();
  LoopbackClient c{loop, server->port()};
  c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(c.read_all().find("HTTP/1.1"), std::string::npos);
  EXPECT_EQ(server->stats().tls_failed, 1U);
  EXPECT_EQ(server->stats().open, 0U);
}

TEST_F(HttpTlsTest, AHandshakeThatNeverEndsIsCutAtTheHeadersDeadline) {
  open();
  LoopbackClient silent{loop, server->port()};
  LoopbackClient trickles{loop, server->port()};
  settle(loop);
  for (int i = 0; i < 9; ++i) {
    trickles.send(i == 0 ? "\x16" : "\x03");
    clock.advance(1s);
    settle(loop);
  }
  EXPECT_GE(server->stats().open, 1U);
  clock.advance(1s);
  EXPECT_TRUE(silent.closes());
  EXPECT_TRUE(trickles.closes());
}

TEST_F(HttpTlsTest, StreamsOverTls) {
  open();
  std::atomic<bool> fed{false};
  // Pieces larger than one TLS record, and small ones.
  std::string want;
  std::string got;
  std::jthread other{[&] {
    FILE* const pipe =
        ::popen(fmt::format("curl -q -s -N --noproxy '*' --max-time 8 --cacert {} {}",
                            (dir / "ca.pem").string(), url + "/events")
                    .c_str(),
                "r");
    std::array<char, 4096> buffer;
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      got.append(buffer.data(), n);
    }
    ::pclose(pipe);
    fed = true;
  }};
  ASSERT_TRUE(turn_until(loop, [&] { return stream != nullptr; }));
  for (int i = 0; i < 30; ++i) {
    const std::string piece(i % 3 == 0 ? 40'000 : 20, static_cast<char>('a' + i % 26));
    stream->send(piece);
    want += piece;
    if (i % 5 == 0) loop.run_once(1ms);
  }
  EXPECT_TRUE(stream->open());
  stream->close();
  ASSERT_TRUE(turn_until(loop, [&] { return fed.load(); }));
  other.join();
  EXPECT_EQ(got, want);
}

TEST_F(HttpTlsTest, ANewCertificateServesNewConnectionsAndOldOnesStay) {
  open();
  // curl keeps its connection over the reload: the second request must not need a new handshake.
  std::string got;
  std::atomic<bool> done{false};
  const std::string old_ca = (dir / "old-ca.pem").string();
  std::filesystem::copy_file(dir / "ca.pem", old_ca);
  std::jthread other{[&] {
    FILE* const pipe = ::popen(fmt::format("curl -q -s -S --noproxy '*' --max-time 8 --cacert {} "
                                           "--rate 60/m {}/one {}/two 2>&1",
                                           old_ca, url, url)
                                   .c_str(),
                               "r");
    std::array<char, 4096> buffer;
    for (std::size_t n = 0; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      got.append(buffer.data(), n);
    }
    ::pclose(pipe);
    done = true;
  }};
  ASSERT_TRUE(turn_until(loop, [&] { return server->stats().requests == 1; }));
  write_certificate();
  ASSERT_TRUE(server->reload_tls());
  ASSERT_TRUE(turn_until(loop, [&] { return done.load(); }));
  other.join();
  EXPECT_EQ(got, "/one:/two:");
  EXPECT_EQ(server->stats().accepted, 1U) << "the connection went on";
  EXPECT_EQ(curl(url + "/new"), "/new:") << "against the new root";
  const std::string refused =
      run(fmt::format("curl -q -s -S --noproxy '*' --max-time 8 --cacert {} {}", old_ca, url));
  EXPECT_TRUE(refused.starts_with("curl: (")) << "the old root vouches for it: " << refused;
}

TEST_F(HttpTlsTest, AReloadThatFailsChangesNothing) {
  open();
  const test::Certificate another = test::make_certificate({.addresses = {"127.0.0.1"}});
  write("key.pem", another.key_pem);
  const Expected<void> mismatch = server->reload_tls();
  ASSERT_FALSE(mismatch);
  EXPECT_NE(mismatch.error().text.find("key.pem"), std::string::npos) << mismatch.error().text;
  write("cert.pem", "no certificate");
  const Expected<void> broken = server->reload_tls();
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().text.find("cert.pem"), std::string::npos) << broken.error().text;
  EXPECT_EQ(curl(url + "/a"), "/a:");
}

TEST_F(HttpTlsTest, MissingFilesAreAnErrorAtTheStart) {
  std::filesystem::remove(dir / "key.pem");
  const auto opened = HttpServer::open(loop, options(), [](auto, auto) {});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text.find("key.pem"), std::string::npos) << opened.error().text;
}

}  // namespace
}  // namespace tocsin::io

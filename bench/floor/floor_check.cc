// What does a check cost at the least: raw non-blocking sockets, epoll, OpenSSL, and nothing else?
//
//   floor_check http|https|tcp|dns PORT CHECKS CONCURRENCY|RATE/s [CA.pem]
//
// Every check is a fresh socket to 127.0.0.1:PORT (http and tcp: one of 127.0.0.1 to .16 in turn),
// as an agent's is:
//   tcp    connect, close
//   http   connect, one GET with Connection: close, read until the server closes
//   https  the same after a full handshake; chain and address are verified against CA.pem
//   dns    one A query by UDP, read the answer
// With CONCURRENCY it is a closed loop: so many checks are under way all the time, so the kernel
// hands over many events per epoll_wait, and neither side ever sleeps. With a RATE ("3000/s") the
// checks begin at whole milliseconds, spread evenly as an agent's slots are, and both sides sleep
// in between. There is no timeout, no evidence and no result: that is what makes it a floor.

#include "bench/floor/addresses.h"
#include "bench/floor/report.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <vector>

namespace {

enum class Mode { kHttp, kHttps, kTcp, kDns };

constexpr std::string_view kRequest =
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: floor\r\nConnection: close\r\n\r\n";
/// A? bench.test, id 1, recursion desired.
constexpr std::string_view kQuery{"\0\1\1\0\0\1\0\0\0\0\0\0\5bench\4test\0\0\1\0\1", 28};
constexpr std::size_t kDnsAnswerMin = 40;

struct SslFree {
  void operator()(SSL* ssl) const { SSL_free(ssl); }

  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

struct Check {
  enum class State { kConnecting, kHandshake, kReading };

  int fd = -1;
  State state = State::kConnecting;
  std::unique_ptr<SSL, SslFree> ssl;
  char status[12] = {};  ///< "HTTP/1.1 200"
  std::size_t got = 0;
};

class Floor {
 public:
  Floor(Mode mode, std::uint16_t port, long checks, const char* ca)
      : mode_(mode),
        checks_(checks),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    address_.sin_family = AF_INET;
    address_.sin_port = htons(port);
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (mode != Mode::kHttps) return;
    tls_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_session_cache_mode(tls_.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(tls_.get(), SSL_VERIFY_PEER, nullptr);
    if (ca == nullptr || SSL_CTX_load_verify_locations(tls_.get(), ca, nullptr) != 1) {
      std::fprintf(stderr, "floor_check: cannot read the CA\n");
      std::exit(1);
    }
  }

  Floor(const Floor&) = delete;
  Floor& operator=(const Floor&) = delete;

  ~Floor() { ::close(epoll_); }

  /// False when nothing moved for ten seconds.
  bool run_paced(long rate) {
    paced_ = true;
    std::vector<std::unique_ptr<Check>> all;
    const auto begin = std::chrono::steady_clock::now();
    epoll_event events[256];
    auto moved = begin;
    while (done_ < checks_) {
      const auto now = std::chrono::steady_clock::now();
      const long ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - begin).count();
      const long due = std::min(checks_, (ms + 1) * rate / 1000);
      while (started_ < due) {
        if (idle_.empty()) idle_.push_back(all.emplace_back(std::make_unique<Check>()).get());
        Check& c = *idle_.back();
        idle_.pop_back();
        start(c);
      }
      const auto next = begin + std::chrono::milliseconds{ms + 1};
      const auto wait = std::max<std::chrono::nanoseconds>(next - std::chrono::steady_clock::now(),
                                                           std::chrono::nanoseconds{0});
      const timespec timeout{0, static_cast<long>(wait.count() % 1'000'000'000)};
      const int n = ::epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
      for (int i = 0; i < n; ++i) step(*static_cast<Check*>(events[i].data.ptr), events[i].events);
      if (n > 0) moved = now;
      if (now - moved > std::chrono::seconds{10}) return false;
    }
    return true;
  }

  /// False when nothing moved for ten seconds.
  bool run(std::size_t concurrency) {
    std::vector<Check> slots(concurrency);
    for (Check& c : slots) start(c);
    epoll_event events[256];
    while (done_ < checks_) {
      const int n = ::epoll_wait(epoll_, events, 256, 10'000);
      if (n == 0) return false;
      for (int i = 0; i < n; ++i) step(*static_cast<Check*>(events[i].data.ptr), events[i].events);
    }
    return true;
  }

  long done() const { return done_; }

  long failed() const { return failed_; }

 private:
  void start(Check& c) {
    if (started_ >= checks_) return;
    ++started_;
    const int type = mode_ == Mode::kDns ? SOCK_DGRAM : SOCK_STREAM;
    c.fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    c.state = Check::State::kConnecting;
    c.got = 0;
    sockaddr_in address = address_;
    if (mode_ == Mode::kHttp || mode_ == Mode::kTcp) {
      const auto turn = static_cast<std::uint32_t>(started_) % floor_bench::kAddresses;
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + turn);
    }
    (void)::connect(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &c;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
  }

  void finish(Check& c, bool good) {
    ++done_;
    if (!good) ++failed_;
    if (c.ssl) {
      SSL_set_quiet_shutdown(c.ssl.get(), 1);
      SSL_shutdown(c.ssl.get());
      c.ssl.reset();
    }
    ::close(c.fd);
    c.fd = -1;
    if (paced_) {
      idle_.push_back(&c);
    } else {
      start(c);
    }
  }

  void step(Check& c, std::uint32_t events) {
    if (c.fd < 0) return;
    if (c.state == Check::State::kConnecting) {
      if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(c.fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return finish(c, false);
      if (mode_ == Mode::kTcp) return finish(c, true);
      if (mode_ != Mode::kHttps) {
        const std::string_view bytes = mode_ == Mode::kDns ? kQuery : kRequest;
        if (::send(c.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) return finish(c, false);
        c.state = Check::State::kReading;
        return;
      }
      c.ssl.reset(SSL_new(tls_.get()));
      SSL_set_fd(c.ssl.get(), c.fd);
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c.ssl.get()), "127.0.0.1");
      SSL_set_connect_state(c.ssl.get());
      c.state = Check::State::kHandshake;
    }
    if (c.state == Check::State::kHandshake) {
      const int r = SSL_do_handshake(c.ssl.get());
      if (r != 1) {
        if (wants_more(c, r)) return;
        return finish(c, false);
      }
      if (SSL_write(c.ssl.get(), kRequest.data(), static_cast<int>(kRequest.size())) <= 0) {
        return finish(c, false);
      }
      c.state = Check::State::kReading;
    }
    read(c);
  }

  void read(Check& c) {
    char buffer[4096];
    for (;;) {
      const auto r = c.ssl ? static_cast<ssize_t>(SSL_read(c.ssl.get(), buffer, sizeof buffer))
                           : ::recv(c.fd, buffer, sizeof buffer, 0);
      if (r > 0) {
        const auto n = static_cast<std::size_t>(r);
        if (mode_ == Mode::kDns) return finish(c, n >= kDnsAnswerMin);
        if (c.got < sizeof c.status) {
          std::memcpy(c.status + c.got, buffer, std::min(n, sizeof c.status - c.got));
        }
        c.got += n;
        continue;
      }
      if (c.ssl ? wants_more(c, static_cast<int>(r)) : (r < 0 && errno == EAGAIN)) return;
      return finish(c, c.got > sizeof c.status &&
                           std::string_view(c.status, sizeof c.status) == "HTTP/1.1 200");
    }
  }

  static bool wants_more(const Check& c, int r) {
    const int error = SSL_get_error(c.ssl.get(), r);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  const Mode mode_;
  const long checks_;
  const int epoll_;
  sockaddr_in address_{};
  std::unique_ptr<SSL_CTX, SslFree> tls_;
  bool paced_ = false;
  std::vector<Check*> idle_;  ///< Of a paced run.
  long started_ = 0;
  long done_ = 0;
  long failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view name = argc > 4 ? argv[1] : "";
  constexpr std::pair<std::string_view, Mode> kModes[] = {
      {"http", Mode::kHttp}, {"https", Mode::kHttps}, {"tcp", Mode::kTcp}, {"dns", Mode::kDns}};
  for (const auto& [known, mode] : kModes) {
    if (name != known) continue;
    Floor bench(mode, static_cast<std::uint16_t>(std::atoi(argv[2])), std::atol(argv[3]),
                argc > 5 ? argv[5] : nullptr);
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = floor_bench::cpu_seconds();
    const long number = std::atol(argv[4]);
    const bool moved = std::string_view{argv[4]}.ends_with("/s")
                           ? bench.run_paced(number)
                           : bench.run(static_cast<std::size_t>(number));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    floor_bench::report(bench.done(), bench.failed(), took.count(),
                        floor_bench::cpu_seconds() - cpu);
    return moved && bench.failed() == 0 ? 0 : 1;
  }
  std::fprintf(stderr,
               "usage: floor_check http|https|tcp|dns PORT CHECKS CONCURRENCY|RATE/s [CA.pem]\n");
  return 2;
}

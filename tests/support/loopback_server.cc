#include "tests/support/loopback_server.h"

#include "common/base/check.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tocsin::test {

namespace {

struct Listening {
  io::Fd fd;
  std::uint16_t port = 0;
};

Listening listen_on(const char* address, int backlog, std::uint16_t port = 0) {
  Listening out{io::Fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)}, 0};
  CHECK(out.fd);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  CHECK(inet_pton(AF_INET, address, &at.sin_addr) == 1);
  CHECK(::bind(out.fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  CHECK(::listen(out.fd.get(), backlog) == 0);
  socklen_t size = sizeof at;
  CHECK(::getsockname(out.fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  out.port = ntohs(at.sin_port);
  return out;
}

/// True when `fd` is readable, false when the server stops.
bool readable_or_stopped(int fd, int stop_fd) {
  std::array<pollfd, 2> fds{pollfd{fd, POLLIN, 0}, pollfd{stop_fd, POLLIN, 0}};
  while (::poll(fds.data(), fds.size(), -1) < 0) CHECK(errno == EINTR);
  return fds[0].revents != 0 && fds[1].revents == 0;
}

}  // namespace

Peer::Peer(int fd, int stop_fd)
    : fd_(fd),
      stop_fd_(stop_fd) {}

Peer::~Peer() {
  SSL_free(ssl_);
  SSL_CTX_free(ctx_);
}

bool Peer::start_tls(const Certificate& certificate) {
  ctx_ = SSL_CTX_new(TLS_server_method());
  BIO* cert_bio = BIO_new_mem_buf(certificate.pem.data(), static_cast<int>(certificate.pem.size()));
  BIO* key_bio =
      BIO_new_mem_buf(certificate.key_pem.data(), static_cast<int>(certificate.key_pem.size()));
  X509* leaf = PEM_read_bio_X509(cert_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  CHECK(SSL_CTX_use_certificate(ctx_, leaf) == 1);
  CHECK(SSL_CTX_use_PrivateKey(ctx_, key) == 1);
  X509_free(leaf);
  EVP_PKEY_free(key);
  BIO_free(cert_bio);
  BIO_free(key_bio);
  ssl_ = SSL_new(ctx_);
  SSL_set_fd(ssl_, fd_.get());
  return SSL_accept(ssl_) == 1;
}

bool Peer::wait_readable() {
  if (ssl_ != nullptr && SSL_pending(ssl_) > 0) return true;
  return readable_or_stopped(fd_.get(), stop_fd_);
}

std::string Peer::read_until(std::string_view end) {
  std::string out;
  std::array<char, 4096> buffer{};
  while (out.find(end) == std::string::npos && wait_readable()) {
    const ssize_t n = ssl_ != nullptr ? SSL_read(ssl_, buffer.data(), buffer.size())
                                      : ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n <= 0) break;
    out.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return out;
}

void Peer::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ssl_ != nullptr
                          ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                          : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void Peer::close() {
  ::shutdown(fd_.get(), SHUT_WR);
  stall();  // A close with bytes unread would reset.
  fd_.reset();
}

void Peer::close_tls() {
  SSL_shutdown(ssl_);
  close();
}

void Peer::reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  fd_.reset();
}

void Peer::stall() {
  std::array<char, 4096> buffer{};
  while (readable_or_stopped(fd_.get(), stop_fd_)) {
    if (::recv(fd_.get(), buffer.data(), buffer.size(), 0) <= 0) return;
  }
}

LoopbackServer::LoopbackServer(Script script, const char* address, std::uint16_t port)
    : script_(std::move(script)) {
  Listening listening = listen_on(address, 64, port);
  listen_ = std::move(listening.fd);
  port_ = listening.port;
  std::array<int, 2> ends{};
  CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  thread_ = std::thread{[this] { serve(); }};
}

LoopbackServer::~LoopbackServer() {
  stop_write_.reset();  // The other end becomes readable for good.
  thread_.join();
}

void LoopbackServer::serve() {
  while (readable_or_stopped(listen_.get(), stop_read_.get())) {
    const int fd = ::accept4(listen_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    accepted_.fetch_add(1);
    Peer peer{fd, stop_read_.get()};
    script_(peer);
  }
}

LoopbackServer::Script respond(std::string response) {
  return [response = std::move(response)](Peer& peer) {
    peer.read_until("\r\n\r\n");
    peer.write(response);
    peer.close();
  };
}

ClosedPort::ClosedPort() {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 50 && port_ == 0; ++i) {
    at.sin_port = 0;
    tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(::bind(tcp_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    socklen_t size = sizeof at;
    CHECK(::getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    if (::bind(udp_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) continue;
    port_ = ntohs(at.sin_port);
  }
  CHECK(port_ != 0);
  // What comes from others than the peer finds no socket and is answered by ICMP.
  CHECK(::connect(udp_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
}

FullPort::FullPort() {
  Listening listening = listen_on("127.0.0.1", 0);
  listen_ = std::move(listening.fd);
  port_ = listening.port;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port_);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (io::Fd& fd : fill_) {
    fd.reset(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
}

}  // namespace tocsin::test

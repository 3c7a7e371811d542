#include "tests/support/dns_server.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <fcntl.h>
#include <poll.h>

#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tocsin::test {

namespace {

std::string u16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

/// The same free port for both; tried until one is free in both.
std::uint16_t bind_both(io::Fd& udp, io::Fd& tcp) {
  for (int i = 0; i < 50; ++i) {
    udp.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at = loopback(0);
    CHECK(::bind(udp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    socklen_t size = sizeof at;
    CHECK(::getsockname(udp.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    if (::bind(tcp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) {
      return ntohs(at.sin_port);
    }
  }
  CHECK(false && "no port is free for UDP and TCP");
}

}  // namespace

DnsRequest read_dns_request(std::string bytes, bool tcp) {
  DnsRequest out;
  out.tcp = tcp;
  std::size_t at = 12;
  while (at < bytes.size() && bytes[at] != 0) {
    const auto length = static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[at]));
    if (!out.name.empty()) out.name += '.';
    out.name += to_lower(bytes.substr(at + 1, length));
    at += length + 1;
  }
  if (at + 2 < bytes.size()) {
    out.type = static_cast<std::uint16_t>(static_cast<std::uint8_t>(bytes[at + 1]) << 8 |
                                          static_cast<std::uint8_t>(bytes[at + 2]));
  }
  out.bytes = std::move(bytes);
  return out;
}

DnsServer::DnsServer(Script script, bool with_tcp)
    : script_(std::move(script)),
      port_(bind_both(udp_, tcp_)) {
  // Without listen() the bound port refuses connections.
  if (with_tcp) CHECK(::listen(tcp_.get(), 16) == 0);
  std::array<int, 2> ends{};
  CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  stop_read_.reset(ends[0]);
  stop_write_.reset(ends[1]);
  thread_ = std::thread{[this] { serve(); }};
}

DnsServer::~DnsServer() {
  stop_write_.reset();
  thread_.join();
}

void DnsServer::serve() {
  while (true) {
    std::array<pollfd, 3> fds{pollfd{udp_.get(), POLLIN, 0}, pollfd{tcp_.get(), POLLIN, 0},
                              pollfd{stop_read_.get(), POLLIN, 0}};
    while (::poll(fds.data(), fds.size(), -1) < 0) CHECK(errno == EINTR);
    if (fds[2].revents != 0) return;
    if ((fds[0].revents & POLLIN) != 0) serve_udp();
    if ((fds[1].revents & POLLIN) != 0) serve_tcp();
  }
}

void DnsServer::serve_udp() {
  std::array<char, 4096> buffer{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const ssize_t n = ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&from), &size);
  if (n <= 0) return;
  requests_.fetch_add(1);
  for (const std::string& reply :
       script_(read_dns_request({buffer.data(), static_cast<std::size_t>(n)}, false))) {
    ::sendto(udp_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
}

void DnsServer::serve_tcp() {
  const io::Fd peer{::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!peer) return;
  std::array<std::uint8_t, 2> length{};
  if (::recv(peer.get(), length.data(), length.size(), MSG_WAITALL) != 2) return;
  std::string bytes(static_cast<std::size_t>(length[0] << 8 | length[1]), '\0');
  if (::recv(peer.get(), bytes.data(), bytes.size(), MSG_WAITALL) !=
      static_cast<ssize_t>(bytes.size())) {
    return;
  }
  requests_.fetch_add(1);
  for (const std::string& reply : script_(read_dns_request(std::move(bytes), true))) {
    const std::string framed = u16(static_cast<unsigned>(reply.size())) + reply;
    ::send(peer.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
  }
  std::array<char, 16> rest{};
  while (::recv(peer.get(), rest.data(), rest.size(), 0) > 0) {
  }
}

std::string name_record(std::string_view dotted) {
  std::string out;
  for (const std::string_view label : split(dotted, '.')) {
    out += static_cast<char>(label.size());
    out += label;
  }
  return out + '\0';
}

std::string a_record(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  return {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c), static_cast<char>(d)};
}

std::string dns_response(const DnsRequest& request, unsigned rcode,
                         const std::vector<TestRecord>& answers, unsigned flags) {
  const std::size_t question_end = 12 + name_record(request.name).size() + 4;
  std::string out = request.bytes.substr(0, 2) + u16(0x8180 | flags | rcode) + u16(1) +
                    u16(static_cast<unsigned>(answers.size())) + u16(0) + u16(0) +
                    request.bytes.substr(12, question_end - 12);
  for (const TestRecord& record : answers) {
    out += record.owner.empty() ? std::string{"\xc0\x0c"} : name_record(record.owner);
    out += u16(static_cast<unsigned>(record.type)) + u16(1) + u16(record.ttl >> 16) +
           u16(record.ttl & 0xffff) + u16(static_cast<unsigned>(record.data.size())) + record.data;
  }
  return out;
}

}  // namespace tocsin::test

// What the checks of a benchmark are aimed at: something that answers at once and costs little.
//
//   floor_target http|dns
//
// Prints the port it chose, then serves until it is killed.
//   http  answers every request with 200 and two bytes, and closes (also the target of tcp checks);
//         on 127.0.0.1 to 127.0.0.16, so that no check searches long for a free source port
//   dns   answers every question with one A record, by UDP, on 127.0.0.1

#include "bench/floor/addresses.h"

#include <unistd.h>

#include <arpa/inet.h>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>

namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: "
    "close\r\n\r\nok";
/// The name of the question, type A, class IN, 60 s, 127.0.0.1.
constexpr std::string_view kRecord{"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1", 16};
constexpr std::size_t kDnsHeader = 12;

/// A socket bound to 127.0.0.(1 + `offset`); port 0 lets the system choose. Ends the program when
/// it cannot be had.
int open_port(int type, std::uint32_t offset, std::uint16_t& port) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + offset);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || ::bind(fd, plain, size) != 0 || ::getsockname(fd, plain, &size) != 0 ||
      ((type & SOCK_DGRAM) == 0 && ::listen(fd, 4096) != 0)) {
    std::perror("floor_target");
    std::exit(1);
  }
  port = ntohs(address.sin_port);
  return fd;
}

void print_port(std::uint16_t port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
}

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

[[noreturn]] void serve_http() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  std::uint16_t port = 0;
  int last_listener = -1;
  for (std::uint32_t i = 0; i < floor_bench::kAddresses; ++i) {
    last_listener = open_port(SOCK_STREAM | SOCK_NONBLOCK, i, port);
    watch(epoll, last_listener);
  }
  print_port(port);
  epoll_event events[256];
  char request[4096];
  for (;;) {
    const int n = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      // Connections are opened after the listeners, and have higher numbers.
      if (fd <= last_listener) {
        for (;;) {
          const int peer = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
          if (peer < 0) break;
          watch(epoll, peer);
        }
        continue;
      }
      // The requests of a benchmark arrive in one piece.
      if (::recv(fd, request, sizeof request, 0) > 0) {
        (void)::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
      }
      ::close(fd);
    }
  }
}

[[noreturn]] void serve_dns() {
  std::uint16_t port = 0;
  const int fd = open_port(SOCK_DGRAM, 0, port);
  print_port(port);
  char packet[512];
  for (;;) {
    sockaddr_in peer{};
    socklen_t peer_size = sizeof peer;
    auto* plain = reinterpret_cast<sockaddr*>(&peer);
    const ssize_t got = ::recvfrom(fd, packet, sizeof packet, 0, plain, &peer_size);
    if (got < static_cast<ssize_t>(kDnsHeader)) continue;
    std::size_t end = kDnsHeader;
    while (end < static_cast<std::size_t>(got) && packet[end] != 0) {
      end += static_cast<unsigned char>(packet[end]) + 1U;
    }
    end += 5;  // The root label, type and class; what follows (EDNS) is left out of the answer.
    if (end > static_cast<std::size_t>(got) || end + kRecord.size() > sizeof packet) continue;
    constexpr char kFlagsAndCounts[] = {'\x81', '\x80', 0, 1, 0, 1, 0, 0, 0, 0};
    std::memcpy(packet + 2, kFlagsAndCounts, sizeof kFlagsAndCounts);
    std::memcpy(packet + end, kRecord.data(), kRecord.size());
    (void)::sendto(fd, packet, end + kRecord.size(), 0, plain, peer_size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  if (kind != "http" && kind != "dns") {
    std::fprintf(stderr, "usage: floor_target http|dns\n");
    return 2;
  }
  if (kind == "dns") serve_dns();
  serve_http();
}

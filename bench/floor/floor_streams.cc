// floor_streams serve COUNT BYTES: what it costs to send one event to so many sockets when nothing
// else is done: one send(2) for each. Accepts, then sends for each line on stdin; says the cost as
// JSON.
// floor_streams read COUNT PORT: the readers of both sides: connects so often, asks for /events on
// each, says "connected", and reads everything until stdin ends.

#include "bench/floor/cost.h"

#include <unistd.h>

#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <vector>

namespace {

sockaddr_in loopback(int port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  out.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return out;
}

int serve(std::size_t count, std::size_t bytes) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 512) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::perror("floor_streams");
    return 1;
  }
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  std::vector<int> sockets;
  sockets.reserve(count);
  while (sockets.size() < count) {
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      std::perror("floor_streams: accept4");
      return 1;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets.push_back(fd);
  }
  std::printf("{\"streams\": %zu}\n", sockets.size());
  std::fflush(stdout);
  const std::string event(bytes, 'e');
  char line[16];
  while (::read(STDIN_FILENO, line, sizeof line) > 0) {
    std::size_t behind = 0;
    const auto start = tocsin::bench::Cost::now();
    for (const int fd : sockets) {
      if (::send(fd, event.data(), event.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(event.size())) {
        ++behind;
      }
    }
    const auto cost = tocsin::bench::Cost::now() - start;
    std::printf("{\"cpu_us\": %.1f, \"wall_us\": %.1f, \"behind\": %zu}\n", cost.cpu_us,
                cost.wall_us, behind);
    std::fflush(stdout);
  }
  return 0;
}

int read_all(std::size_t count, int port) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const sockaddr_in address = loopback(port);
  constexpr std::string_view kAsk = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
  for (std::size_t i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::send(fd, kAsk.data(), kAsk.size(), MSG_NOSIGNAL) < 0) {
      std::perror("floor_streams: connect");
      return 1;
    }
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  }
  std::printf("connected\n");
  std::fflush(stdout);
  epoll_event input{};
  input.events = EPOLLIN;
  input.data.fd = STDIN_FILENO;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &input);
  std::vector<epoll_event> ready(512);
  std::vector<char> buffer(64 * 1024);
  while (true) {
    const int n = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < n; ++i) {
      const int fd = ready[static_cast<std::size_t>(i)].data.fd;
      const ssize_t got = ::read(fd, buffer.data(), buffer.size());
      if (got > 0) continue;
      if (fd == STDIN_FILENO) return 0;
      ::close(fd);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  tocsin::bench::raise_descriptors();
  const std::string_view mode = argv[1];
  const std::size_t count = std::strtoul(argv[2], nullptr, 10);
  const int number = std::atoi(argv[3]);
  if (mode == "serve") return serve(count, static_cast<std::size_t>(number));
  if (mode == "read") return read_all(count, number);
  return 2;
}

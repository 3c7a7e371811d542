#include "common/io/tcp_facts.h"

// Not <netinet/tcp.h>, whose tcp_info ends before the bytes; the two exclude each other.
#include <cstddef>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tocsin::io {

Boxed<TcpFacts> tcp_facts(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  TcpFacts out;
  out.state = static_cast<TcpState>(info.tcpi_state);
  out.rtt_us = info.tcpi_rtt;
  out.rtt_variation_us = info.tcpi_rttvar;
  out.retransmissions = info.tcpi_total_retrans;
  out.unacknowledged = info.tcpi_unacked;
  // An older kernel fills less; what it leaves is zero.
  out.bytes_acknowledged = info.tcpi_bytes_acked;
  out.bytes_received = info.tcpi_bytes_received;
  out.mss = info.tcpi_snd_mss;
  out.path_mtu = info.tcpi_pmtu;
  return out;
}

}  // namespace tocsin::io

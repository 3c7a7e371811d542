#pragma once
// A DNS server on 127.0.0.1, UDP and TCP on one port, that answers what the test tells it.

#include "common/io/fd.h"
#include "common/model/monitor_spec.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace tocsin::test {

struct DnsRequest {
  std::string name;  ///< Lower case, without the final dot.
  std::uint16_t type = 0;
  bool tcp = false;
  std::string bytes;
};

/// `bytes` without the length that stands before them over TCP.
DnsRequest read_dns_request(std::string bytes, bool tcp);

/// What to say: nothing keeps silent; several are sent one after the other (UDP only).
using DnsReplies = std::vector<std::string>;

class DnsServer {
 public:
  using Script = std::function<DnsReplies(const DnsRequest&)>;

  /// `with_tcp` false: nothing listens on the TCP port.
  explicit DnsServer(Script script, bool with_tcp = true);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  std::uint16_t port() const { return port_; }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  int requests() const { return requests_.load(); }

 private:
  void serve();
  void serve_udp();
  void serve_tcp();

  Script script_;
  io::Fd udp_;
  io::Fd tcp_;
  io::Fd stop_read_;
  io::Fd stop_write_;
  std::uint16_t port_ = 0;
  std::atomic<int> requests_{0};
  std::thread thread_;
};

struct TestRecord {
  std::string owner;  ///< Dotted; empty: the name that was asked for.
  DnsType type = DnsType::kA;
  std::uint32_t ttl = 60;
  std::string data;  ///< Wire form.
};

/// A response to this request. `flags` are or-ed to QR RD RA.
std::string dns_response(const DnsRequest& request, unsigned rcode,
                         const std::vector<TestRecord>& answers, unsigned flags = 0);

std::string a_record(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
std::string name_record(std::string_view dotted);

}  // namespace tocsin::test

#include "common/codec/evidence_node.h"

#include "common/base/time.h"

namespace tocsin::codec {

namespace {

Node time(WallTime t) { return t.us == 0 ? Node{} : Node::string(format_rfc3339(t)); }

Node certificate_node(const CertificateFacts& c) {
  std::vector<Node> names;
  for (const std::string& name : c.names) names.push_back(Node::string(name));
  return Node::map({{"subject", Node::string(c.subject)},
                    {"issuer", Node::string(c.issuer)},
                    {"serial", Node::string(c.serial)},
                    {"names", Node::list(std::move(names))},
                    {"name_count", Node::integer(c.name_count)},
                    {"not_before", time(c.not_before)},
                    {"not_after", time(c.not_after)},
                    {"key", Node::string(c.key)},
                    {"signature", Node::string(c.signature)},
                    {"sha256", Node::string(c.sha256)}});
}

}  // namespace

Node tls_node(const TlsFacts& tls) {
  std::vector<Node> chain;
  for (const CertificateFacts& c : tls.chain) chain.push_back(certificate_node(c));
  std::vector<Node> problems;
  for (const TlsProblem& p : tls.problems) {
    problems.push_back(Node::map({{"reason", Node::string(std::string{to_string(p.reason)})},
                                  {"depth", Node::integer(p.depth)},
                                  {"text", Node::string(p.text)}}));
  }
  Node out = Node::map({{"version", Node::string(tls.version)},
                        {"cipher", Node::string(tls.cipher)},
                        {"group", Node::string(tls.group)},
                        {"alpn", Node::string(tls.alpn)},
                        {"server_name", Node::string(tls.server_name)},
                        {"verified", Node::boolean(tls.verified)},
                        {"subject", Node::string(tls.subject)},
                        {"issuer", Node::string(tls.issuer)},
                        {"not_before", time(tls.not_before)},
                        {"not_after", time(tls.not_after)},
                        {"chain_not_after", time(tls.chain_not_after)},
                        {"chain_size", Node::integer(tls.chain_size)},
                        {"chain", Node::list(std::move(chain))},
                        {"problems", Node::list(std::move(problems))},
                        {"alert_received", Node::string(tls.alert_received)},
                        {"alert_sent", Node::string(tls.alert_sent)}});
  if (tls.ocsp.status != OcspStatus::kNotAsked) {
    out.set("ocsp", Node::map({{"status", Node::string(to_string(tls.ocsp.status))},
                               {"this_update", time(tls.ocsp.this_update)},
                               {"next_update", time(tls.ocsp.next_update)}}));
  }
  return out;
}

Node tcp_node(const TcpFacts& tcp) {
  const auto whole = [](std::uint64_t n) { return Node::integer(static_cast<std::int64_t>(n)); };
  const bool measured = tcp.rtt_us > 0;
  return Node::map({{"state", Node::string(to_string(tcp.state))},
                    {"rtt_us", measured ? whole(tcp.rtt_us) : Node{}},
                    {"rtt_variation_us", measured ? whole(tcp.rtt_variation_us) : Node{}},
                    {"retransmissions", whole(tcp.retransmissions)},
                    {"unacknowledged_segments", whole(tcp.unacknowledged)},
                    {"bytes_acknowledged", whole(tcp.bytes_acknowledged)},
                    {"bytes_received", whole(tcp.bytes_received)},
                    {"mss", whole(tcp.mss)},
                    {"path_mtu", whole(tcp.path_mtu)}});
}

}  // namespace tocsin::codec

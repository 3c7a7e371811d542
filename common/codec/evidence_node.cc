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
  return Node::map({{"version", Node::string(tls.version)},
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
}

}  // namespace tocsin::codec

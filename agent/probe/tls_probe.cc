#include "agent/probe/tls_probe.h"

#include "common/base/ip_address.h"
#include "common/codec/url.h"
#include "common/io/tcp_connector.h"

namespace tocsin::agent {

TlsProbe::TlsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<TlsTarget>(this->spec().target)) {}

TlsProbe::~TlsProbe() = default;

void TlsProbe::begin() {
  auto host = parse_host(target_.host);
  if (!host) return finish(Failure{Reason::kPolicyUnsupported, host.error().text});
  ConnectPlan plan;
  plan.host_is_address = IpAddress::parse(*host).has_value();
  plan.host = *std::move(host);
  plan.port = target_.port;
  plan.family = spec().family;
  plan.tls = true;
  plan.verify = target_.verify;
  plan.ca_pem = target_.ca_pem;
  plan.tls_name = target_.server_name;
  plan.starttls = target_.starttls;
  // Without a wish no protocol is offered at all: what is asked is whether TLS works.
  plan.wishes = {.alpn = target_.alpn,
                 .alpn_required = !target_.alpn.empty(),
                 .no_alpn = target_.alpn.empty(),
                 .tls13_only = target_.tls13_only,
                 .ocsp = target_.ocsp};
  plan.tls_detail = io::TlsDetail::kChain;
  chain_ = std::make_unique<ConnectChain>(context(), std::move(plan), deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

void TlsProbe::on_connected(std::unique_ptr<Connection> connection) {
  if (has_conditions()) note_tcp(*connection);
  connection->tls()->say_goodbye();
  io::close_by_reset(connection->fd());
  finish(std::nullopt);
}

void TlsProbe::on_connect_failed(Failure failure) { finish(std::move(failure)); }

void TlsProbe::stop() { chain_.reset(); }

const Connection* TlsProbe::connection() const { return chain_ ? chain_->connection() : nullptr; }

Failure TlsProbe::timed_out() const {
  if (chain_) return chain_->timed_out();
  return {Reason::kSelfInternal, "the attempt was not under way"};
}

}  // namespace tocsin::agent

#include "agent/probe/dot_probe.h"

#include "agent/probe/dns_probe.h"
#include "common/base/check.h"
#include "common/base/clock.h"

namespace tocsin::agent {

namespace {

constexpr std::size_t kLengthSize = 2;  ///< RFC 1035 section 4.2.2.
constexpr std::string_view kAlpn =
    "\x03"
    "dot";

}  // namespace

DotProbe::DotProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<DnsTarget>(this->spec().target)) {}

DotProbe::~DotProbe() = default;

void DotProbe::begin() {
  const auto server = io::DnsServer::parse(target_.resolver, DnsTarget::kTlsPort);
  if (!server) return finish(Failure{Reason::kPolicyUnsupported, server.error().text});
  query_ = {.id = io::random_dns_id(),
            .name = question_name(target_),
            .type = target_.type,
            .recursion_desired = target_.recursion,
            .dnssec = target_.dnssec,
            .udp_size = wishes().dns.all_sections ? std::uint16_t{0} : kDnsUdpSize,
            .cls = wishes().dns.cls,
            .all_sections = wishes().dns.all_sections};
  auto packet = dns::encode_query(query_);
  if (!packet) return finish(Failure{Reason::kPolicyUnsupported, packet.error().text});
  question_ += static_cast<char>(packet->size() >> 8);
  question_ += static_cast<char>(packet->size() & 0xff);
  question_ += *packet;
  state_ = State::kConnecting;
  ConnectPlan plan{.host = server->address.str(),
                   .host_is_address = true,
                   .port = server->port,
                   .family = spec().family,
                   .tls = true,
                   .verify = target_.verify,
                   .ca_pem = target_.ca_pem,
                   .tls_name = target_.server_name,
                   .tls_name_is_address = false,
                   .alpn = kAlpn,
                   .identity = wishes().identity,
                   .tls_detail = wishes().tls_detail};
  plan.wishes.tls13_only = wishes().tls13_only;
  chain_ = std::make_unique<ConnectChain>(context(), std::move(plan), deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

void DotProbe::on_connected(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  connection_->set_handler(*this);
  state_ = State::kSending;
  phases().enter(Phase::kSend, latency_clock());
  step_send();
}

void DotProbe::on_connect_failed(Failure failure) { finish(std::move(failure)); }

void DotProbe::on_ready() {
  switch (state_) {
    case State::kSending:
      return step_send();
    case State::kReceiving:
      return step_receive();
    case State::kIdle:
    case State::kConnecting:
    case State::kDone:
      break;
  }
  CHECK(false && "no descriptor is watched in this state");
}

void DotProbe::step_send() {
  while (sent_ < question_.size()) {
    const IoResult result = connection_->write(std::string_view{question_}.substr(sent_));
    if (result.step == IoStep::kAgain) return;
    if (result.step != IoStep::kDone) {
      return finish(Failure{Reason::kDnsClosed, fmt::format("{}: {}", seen().remote, result.text)});
    }
    sent_ += result.bytes;
  }
  state_ = State::kReceiving;
  phases().enter(Phase::kWait, latency_clock());
  connection_->want(io::Interest::kRead);
  // The answer may have come with the last bytes of the handshake, in which case nothing wakes us.
  step_receive();
}

void DotProbe::step_receive() {
  for (;;) {
    const IoResult result = connection_->read(context().scratch());
    switch (result.step) {
      case IoStep::kAgain:
        return;
      case IoStep::kDone:
        break;
      case IoStep::kEnd:
      case IoStep::kCut:
        return finish(Failure{Reason::kDnsClosed, fmt::format("{} closed after {} bytes",
                                                              seen().remote, answer_.size())});
      case IoStep::kReset:
      case IoStep::kFailed:
        return finish(
            Failure{Reason::kDnsClosed, fmt::format("{}: {}", seen().remote, result.text)});
    }
    if (phases().phase() == Phase::kWait) phases().enter(Phase::kReceive, latency_clock());
    answer_.append(context().scratch().data(), result.bytes);
    if (answer_.size() < kLengthSize) continue;
    const ByteSpan bytes = as_bytes(answer_);
    const std::size_t size = static_cast<std::size_t>(bytes[0] << 8 | bytes[1]);
    if (answer_.size() < kLengthSize + size) continue;
    answer_.resize(kLengthSize + size);
    return on_message();
  }
}

void DotProbe::on_message() {
  auto message = dns::decode_answer(as_bytes(answer_).subspan(kLengthSize), query_);
  if (!message) {
    return finish(
        Failure{Reason::kDnsProtocol, fmt::format("{}: {}", seen().remote, message.error().text)});
  }
  if (message->truncated) {
    return finish(
        Failure{Reason::kDnsTruncated, fmt::format("{} cut its answer over TLS", seen().remote)});
  }
  seen().dns = dns_facts(*std::move(message), DnsTransport::kTls);
  connection_->tls()->say_goodbye();
  finish(std::nullopt);
}

void DotProbe::stop() {
  state_ = State::kDone;
  connection_.reset();
  chain_.reset();
}

const Connection* DotProbe::connection() const { return open_connection(connection_, chain_); }

Failure DotProbe::timed_out() const {
  switch (state_) {
    case State::kConnecting:
      return chain_->timed_out();
    case State::kSending:
    case State::kReceiving:
      return {Reason::kDnsTimeout,
              fmt::format("{} did not answer over TLS in time", seen().remote)};
    case State::kIdle:
    case State::kDone:
      break;
  }
  return {Reason::kSelfInternal, "the attempt was not under way"};
}

}  // namespace tocsin::agent

#include "agent/probe/tcp_probe.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/tcp_connector.h"

#include <algorithm>

namespace tocsin::agent {

TcpProbe::TcpProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<TcpTarget>(this->spec().target)) {}

TcpProbe::~TcpProbe() = default;

void TcpProbe::begin() {
  auto host = parse_host(target_.host);
  if (!host) return finish(Failure{Reason::kPolicyUnsupported, host.error().text});
  state_ = State::kConnecting;
  const bool literal = IpAddress::parse(*host).has_value();
  ConnectPlan plan;
  plan.host = *std::move(host);
  plan.host_is_address = literal;
  plan.port = target_.port;
  plan.family = spec().family;
  if (target_.starttls != StartTls::kNone) {
    plan.starttls = target_.starttls;
    plan.verify = target_.verify;
    plan.ca_pem = target_.ca_pem;
    plan.tls_name = target_.server_name;
    plan.wishes.no_alpn = true;
    plan.wishes.ocsp = target_.ocsp;
  }
  chain_ = std::make_unique<ConnectChain>(context(), std::move(plan), deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

void TcpProbe::on_connected(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  connection_->set_handler(*this);
  state_ = State::kSending;
  if (!target_.send.empty()) phases().enter(Phase::kSend, latency_clock());
  step_send();
}

void TcpProbe::on_connect_failed(Failure failure) { finish(std::move(failure)); }

void TcpProbe::on_ready() {
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

void TcpProbe::step_send() {
  while (sent_ < target_.send.size()) {
    const IoResult result = connection_->write(std::string_view{target_.send}.substr(sent_));
    if (result.step == IoStep::kAgain) return io::send_without_delay(connection_->fd());
    if (result.step != IoStep::kDone) {
      return finish(Failure{Reason::kTcpReset, fmt::format("{}: {}", seen().remote, result.text)});
    }
    sent_ += result.bytes;
  }
  if (target_.expect.empty()) return complete();
  state_ = State::kReceiving;
  phases().enter(Phase::kWait, latency_clock());
  connection_->want(io::Interest::kRead);
}

void TcpProbe::step_receive() {
  const std::size_t room = kBannerMax - banner_.size();
  const IoResult result = connection_->read(std::span{context().scratch()}.first(room));
  switch (result.step) {
    case IoStep::kAgain:
      return;
    case IoStep::kDone:
      break;
    case IoStep::kEnd:
    case IoStep::kCut:
      return finish(Failure{Reason::kTcpClosed,
                            fmt::format("{} closed after {}", seen().remote, received())});
    case IoStep::kReset:
    case IoStep::kFailed:
      return finish(Failure{Reason::kTcpReset, fmt::format("{}: {}", seen().remote, result.text)});
  }
  if (phases().phase() == Phase::kWait) phases().enter(Phase::kReceive, latency_clock());
  banner_.append(context().scratch().data(), result.bytes);
  if (banner_.find(target_.expect) != std::string::npos) return complete();
  if (banner_.size() == kBannerMax) {
    finish(Failure{Reason::kTcpUnexpected,
                   fmt::format("expected \"{}\" among the first {} bytes, got {}",
                               printable(target_.expect, 60), kBannerMax, received())});
  }
}

void TcpProbe::complete() {
  io::close_by_reset(connection_->fd());
  finish(std::nullopt);
}

std::string TcpProbe::received() const {
  if (banner_.empty()) return "nothing";
  return fmt::format("{} bytes \"{}\"", banner_.size(), printable(banner_, 80));
}

void TcpProbe::stop() {
  state_ = State::kDone;
  if (!banner_.empty()) seen().banner = std::move(banner_);
  connection_.reset();
  chain_.reset();
}

const Connection* TcpProbe::connection() const { return open_connection(connection_, chain_); }

Failure TcpProbe::timed_out() const {
  switch (state_) {
    case State::kConnecting:
      return chain_->timed_out();
    case State::kSending:
      return {Reason::kTcpTimeout,
              fmt::format("{} took {} of {} bytes", seen().remote, sent_, target_.send.size())};
    case State::kReceiving:
      return {Reason::kTcpTimeout, fmt::format("expected \"{}\", got {} in time",
                                               printable(target_.expect, 60), received())};
    case State::kIdle:
    case State::kDone:
      break;
  }
  return {Reason::kSelfInternal, "the attempt was not under way"};
}

}  // namespace tocsin::agent

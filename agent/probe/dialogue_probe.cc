#include "agent/probe/dialogue_probe.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/codec/url.h"
#include "common/io/tcp_connector.h"

namespace tocsin::agent {

DialogueProbe::DialogueProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec,
                             Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<TcpTarget>(this->spec().target)) {}

DialogueProbe::~DialogueProbe() = default;

void DialogueProbe::begin() {
  auto host = parse_host(target_.host);
  if (!host) return finish(Failure{Reason::kPolicyUnsupported, host.error().text});
  host_ = *std::move(host);
  host_is_address_ = IpAddress::parse(host_).has_value();
  state_ = State::kConnecting;
  ConnectPlan plan;
  plan.host = host_;
  plan.host_is_address = host_is_address_;
  plan.address = wishes().address;
  plan.port = target_.port;
  plan.family = spec().family;
  plan.tls = dialogue().tls;
  plan.verify = target_.verify;
  plan.ca_pem = target_.ca_pem;
  plan.tls_name = target_.server_name;
  plan.identity = wishes().identity;
  plan.wishes = {.no_alpn = true, .tls13_only = wishes().tls13_only};
  plan.tls_detail = wishes().tls_detail;
  chain_ = std::make_unique<ConnectChain>(context(), std::move(plan), deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

void DialogueProbe::on_connected(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  connection_->set_handler(*this);
  if (!dialogue().steps.empty()) io::send_without_delay(connection_->fd());
  phases().enter(Phase::kWait, latency_clock());
  begin_step();
}

void DialogueProbe::on_connect_failed(Failure failure) { finish(std::move(failure)); }

void DialogueProbe::on_ready() {
  switch (state_) {
    case State::kHearing:
      return hear();
    case State::kSending:
      return step_send();
    case State::kUpgrading:
      return step_tls();
    case State::kIdle:
    case State::kConnecting:
    case State::kDone:
      break;
  }
  CHECK(false && "no descriptor is watched in this state");
}

void DialogueProbe::begin_step() {
  if (at_ == dialogue().steps.size()) return complete();
  if (!step().expect) return say(step().send);
  state_ = State::kHearing;
  connection_->want(io::Interest::kRead);
  hear();  // The line may be here already.
}

void DialogueProbe::hear() {
  for (;;) {
    if (find_line()) return;
    if (heard_.size() > Dialogue::kLineMax || heard_all_ > Dialogue::kHeardMax) {
      return finish(
          Failure{Reason::kTcpUnexpected,
                  fmt::format("{} said a line of more than {} bytes, or {} bytes without the one "
                              "that was waited for",
                              seen().remote, Dialogue::kLineMax, heard_all_)});
    }
    if (ended_) return on_end();
    const IoResult result = connection_->read(context().scratch());
    switch (result.step) {
      case IoStep::kAgain:
        return;
      case IoStep::kDone:
        break;
      case IoStep::kEnd:
        ended_ = true;
        continue;
      case IoStep::kCut:
      case IoStep::kReset:
      case IoStep::kFailed:
        return finish(
            Failure{Reason::kTcpReset, fmt::format("{}: {}", seen().remote, result.text)});
    }
    heard_.append(context().scratch().data(), result.bytes);
    heard_all_ += result.bytes;
  }
}

/// True when a line matched: what follows has been done, and this may be gone.
bool DialogueProbe::find_line() {
  std::size_t begin = 0;
  for (;;) {
    const std::size_t end = heard_.find('\n', begin);
    if (end == std::string::npos) break;
    std::string_view line = std::string_view{heard_}.substr(begin, end - begin);
    begin = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto found = step().expect->find(line);
    if (!found) continue;
    std::string answer = expand_groups(step().send, *found);
    heard_.erase(0, begin);
    say(std::move(answer));
    return true;
  }
  heard_.erase(0, begin);
  return false;
}

void DialogueProbe::on_end() {
  const std::string last = std::exchange(heard_, {});
  if (!last.empty()) {
    if (const auto found = step().expect->find(last))
      return say(expand_groups(step().send, *found));
  }
  finish(Failure{
      Reason::kTcpClosed,
      fmt::format("{} closed without the line that step {} waits for{}", seen().remote, at_ + 1,
                  last.empty() ? std::string{}
                               : fmt::format("; its last was \"{}\"", printable(last, 80)))});
}

void DialogueProbe::say(std::string line) {
  if (line.empty()) return upgrade_or_next();
  unsent_ = std::move(line) + '\n';
  said_ = true;
  state_ = State::kSending;
  step_send();
}

void DialogueProbe::step_send() {
  while (!unsent_.empty()) {
    const IoResult result = connection_->write(unsent_);
    if (result.step == IoStep::kAgain) return connection_->want(io::Interest::kWrite);
    if (result.step != IoStep::kDone) {
      return finish(Failure{Reason::kTcpReset, fmt::format("{}: {}", seen().remote, result.text)});
    }
    unsent_.erase(0, result.bytes);
  }
  upgrade_or_next();
}

void DialogueProbe::upgrade_or_next() {
  if (step().starttls && connection_->tls() == nullptr) return begin_tls();
  ++at_;
  begin_step();
}

void DialogueProbe::begin_tls() {
  heard_.clear();
  state_ = State::kUpgrading;
  phases().enter(Phase::kTls, latency_clock());
  auto context = this->context().tls(target_.ca_pem);
  if (!context) return finish(Failure{Reason::kSelfInternal, context.error().text});
  const bool own_name = !target_.server_name.empty();
  auto stream = io::TlsStream::open(
      *std::move(context), connection_->fd(), own_name ? target_.server_name : host_,
      !own_name && host_is_address_, {.no_alpn = true, .tls13_only = wishes().tls13_only});
  if (!stream) return finish(Failure{Reason::kSelfInternal, stream.error().text});
  if (wishes().identity) {
    const auto used = (*stream)->use_identity(*wishes().identity);
    if (!used) return finish(Failure{Reason::kPolicySecret, used.error().text});
  }
  connection_->set_tls(*std::move(stream));
  step_tls();
}

void DialogueProbe::step_tls() {
  io::TlsStream& tls = *connection_->tls();
  switch (tls.handshake()) {
    case io::TlsStep::kWantRead:
      return connection_->want(io::Interest::kRead);
    case io::TlsStep::kWantWrite:
      return connection_->want(io::Interest::kWrite);
    case io::TlsStep::kDone:
      break;
    case io::TlsStep::kClosed:
    case io::TlsStep::kCut:
    case io::TlsStep::kReset:
    case io::TlsStep::kFailed:
      seen().tls = tls.facts(wishes().tls_detail);
      return finish(Failure{tls.failure().reason,
                            fmt::format("{}: {}", seen().remote, tls.failure().detail)});
  }
  seen().tls = tls.facts(wishes().tls_detail);
  const auto bad = tls.verify_failure();
  if (bad && target_.verify) {
    return finish(Failure{bad->reason, fmt::format("{}: {}", seen().remote, bad->detail)});
  }
  phases().enter(Phase::kWait, latency_clock());
  ++at_;
  begin_step();
}

void DialogueProbe::complete() {
  if (connection_->tls() != nullptr) connection_->tls()->say_goodbye();
  // What was said last must still arrive.
  if (!said_) io::close_by_reset(connection_->fd());
  finish(std::nullopt);
}

void DialogueProbe::stop() {
  state_ = State::kDone;
  connection_.reset();
  chain_.reset();
}

const Connection* DialogueProbe::connection() const { return open_connection(connection_, chain_); }

Failure DialogueProbe::timed_out() const {
  switch (state_) {
    case State::kConnecting:
      return chain_->timed_out();
    case State::kUpgrading:
      return {Reason::kTlsTimeout,
              fmt::format("{} did not finish the TLS handshake in time", seen().remote)};
    case State::kHearing:
      return {Reason::kTcpTimeout,
              fmt::format("{} did not say the line that step {} waits for in time", seen().remote,
                          at_ + 1)};
    case State::kSending:
      return {Reason::kTcpTimeout,
              fmt::format("{} did not take the line of step {} in time", seen().remote, at_ + 1)};
    case State::kIdle:
    case State::kDone:
      break;
  }
  return {Reason::kSelfInternal, "the attempt was not under way"};
}

}  // namespace tocsin::agent

#include "agent/probe/connect_chain.h"

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/io/tcp_connector.h"
#include "common/io/tcp_facts.h"

#include <algorithm>

namespace tocsin::agent {

ConnectChain::ConnectChain(ProbeContext& context, ConnectPlan plan, MonoTime deadline,
                           PhaseClock& phases, Observation& seen, ConnectOwner& owner)
    : context_(context),
      plan_(std::move(plan)),
      deadline_(deadline),
      phases_(phases),
      seen_(seen),
      owner_(owner) {}

ConnectChain::~ConnectChain() = default;

void ConnectChain::start() {
  CHECK(state_ == State::kIdle);
  state_ = State::kResolving;
  if (plan_.address) {
    seen_.dns_cached = true;
    phases_.become(Phase::kConnect);
    return use({*plan_.address});
  }
  if (plan_.host_is_address) {
    const auto address = IpAddress::parse(plan_.host);
    if (!address) return give_up({Reason::kSelfInternal, address.error().text});
    seen_.dns_cached = true;
    phases_.become(Phase::kConnect);  // Nothing was asked, so `dns` is zero.
    const bool fits =
        plan_.family == IpFamily::kAny || (plan_.family == IpFamily::kV4) == address->is_v4();
    if (fits) return use({*address});
    return give_up(
        {Reason::kConnectNoAddress, fmt::format("{} is not of the wanted family", address->str())});
  }
  io::Resolver& resolver = plan_.resolver != nullptr ? *plan_.resolver : context_.resolver();
  if (const auto known = resolver.find(plan_.host, plan_.family)) {
    seen_.dns_cached = true;
    phases_.become(Phase::kConnect);  // Nothing was asked, so `dns` is zero.
    return use(known->addresses);
  }
  seen_.dns_cached = false;
  resolving_ = resolver.resolve(plan_.host, plan_.family, [this](io::ResolveResult result) {
    on_resolved(std::move(result));
  });
}

void ConnectChain::on_resolved(io::ResolveResult result) {
  CHECK(state_ == State::kResolving);
  if (!result) return give_up(std::move(result).error());
  use(result->addresses);
}

void ConnectChain::use(const std::vector<IpAddress>& addresses) {
  std::optional<std::string> denied;
  for (const IpAddress& address : addresses) {
    const auto allowed = context_.egress().allows(address);
    if (allowed) {
      addresses_.push_back(address);
    } else if (!denied) {
      denied = allowed.error().text;
    }
  }
  if (addresses_.empty()) {
    if (denied) return give_up({Reason::kPolicyDeniedAddress, *denied});
    return give_up(
        {Reason::kConnectNoAddress, fmt::format("{} has no usable address", plan_.host)});
  }
  // RFC 8305 section 4: the families take turns; within one the resolver's order stays.
  std::vector<IpAddress> other;
  const bool v4_first = addresses_.front().is_v4();
  const auto split =
      std::stable_partition(addresses_.begin(), addresses_.end(),
                            [&](const IpAddress& address) { return address.is_v4() == v4_first; });
  other.assign(split, addresses_.end());
  addresses_.erase(split, addresses_.end());
  for (std::size_t i = 0; i < other.size(); ++i) {
    const std::size_t at = std::min(2 * i + 1, addresses_.size());
    addresses_.insert(addresses_.begin() + static_cast<std::ptrdiff_t>(at), other[i]);
  }
  next_address();
}

void ConnectChain::next_address() {
  connection_.reset();
  address_timer_.reset();
  state_ = State::kConnecting;
  phases_.enter(Phase::kConnect, latency_clock());
  if (racing_.size() == kRacingMax) {
    const std::unique_ptr<Racer> oldest = take(*racing_.front());
    const std::string remote = oldest->address.with_port(plan_.port);
    note(remote, {Reason::kConnectTimeout, fmt::format("{} did not answer in time", remote)},
         oldest->connection.get());
  }
  while (next_ < addresses_.size()) {
    const IpAddress& address = addresses_[next_++];
    seen_.remote = address.with_port(plan_.port);
    auto fd = io::start_connect(address, plan_.port);
    if (!fd) {
      note(seen_.remote, std::move(fd).error(), nullptr);
      continue;
    }
    auto racer = std::make_unique<Racer>(*this, address);
    racer->connection =
        std::make_unique<Connection>(context_.loop(), *std::move(fd), *racer, io::Interest::kWrite);
    racing_.push_back(std::move(racer));
    const auto rest = static_cast<std::int64_t>(addresses_.size() - next_);
    if (rest > 0) {
      // An equal share when time is short, so that each has a chance.
      const Duration share = (deadline_ - context_.loop().now().mono) / (rest + 1);
      address_timer_ =
          context_.loop().after(std::min(kAttemptDelay, share), [this] { next_address(); });
    }
    return;
  }
  if (!racing_.empty()) {
    seen_.remote = racing_.front()->address.with_port(plan_.port);
    return;
  }
  CHECK(first_failure_);
  seen_.tcp = std::move(first_tcp_);
  give_up(*first_failure_);
}

std::unique_ptr<ConnectChain::Racer> ConnectChain::take(const Racer& racer) {
  const auto at = std::find_if(racing_.begin(), racing_.end(),
                               [&](const auto& one) { return one.get() == &racer; });
  CHECK(at != racing_.end());
  std::unique_ptr<Racer> out = std::move(*at);
  racing_.erase(at);
  return out;
}

void ConnectChain::on_ready() {
  switch (state_) {
    case State::kTunnelling:
      return step_tunnel();
    case State::kUpgrading:
      return step_upgrade();
    case State::kHandshaking:
      return step_tls();
    case State::kIdle:
    case State::kResolving:
    case State::kConnecting:  // The racers have handlers of their own.
    case State::kOpen:
    case State::kFailed:
      break;
  }
  CHECK(false && "no descriptor is watched in this state");
}

void ConnectChain::on_writable(Racer& racer) {
  const std::unique_ptr<Racer> mine = take(racer);
  auto failed = io::connect_result(mine->connection->fd(), mine->address, plan_.port);
  if (failed) {
    note(mine->address.with_port(plan_.port), *std::move(failed), mine->connection.get());
    return next_address();
  }
  racing_.clear();
  address_timer_.reset();
  if (next_ > 1) seen_.remote = mine->address.with_port(plan_.port);
  connection_ = std::move(mine->connection);
  connection_->set_handler(*this);
  // Whoever sends once has nothing that could be held back.
  const bool dialogue = !plan_.tunnel.empty() || plan_.starttls != StartTls::kNone || plan_.tls;
  if (dialogue) io::send_without_delay(connection_->fd());
  if (!plan_.tunnel.empty()) {
    state_ = State::kTunnelling;
    tunnel_.emplace(plan_.tunnel, seen_.remote);
    return step_tunnel();
  }
  if (plan_.starttls != StartTls::kNone) return begin_upgrade();
  if (plan_.tls) return begin_tls();
  open();
}

void ConnectChain::step_tunnel() {
  switch (tunnel_->step(*connection_)) {
    case ProxyTunnel::Step::kAgain:
      return;
    case ProxyTunnel::Step::kOpen:
      break;
    case ProxyTunnel::Step::kFailed:
      // The proxy was reached, so its other addresses would say the same.
      return give_up(tunnel_->failure());
  }
  if (plan_.starttls != StartTls::kNone) return begin_upgrade();
  if (plan_.tls) return begin_tls();
  open();
}

void ConnectChain::begin_upgrade() {
  state_ = State::kUpgrading;
  phases_.enter(Phase::kTls, latency_clock());
  // RFC 5321 section 4.1.3: who has no name of its own says its address.
  const auto here = io::local_address(connection_->fd());
  const std::string address = here ? here->str() : "127.0.0.1";
  dialog_.emplace(plan_.starttls,
                  fmt::format("[{}{}]", here && !here->is_v4() ? "IPv6:" : "", address));
  unsent_ = dialog_->take_output();
  if (send_upgrade()) connection_->want(io::Interest::kRead);
}

/// False: not everything was taken, or it failed and this may be gone.
bool ConnectChain::send_upgrade() {
  while (!unsent_.empty()) {
    const IoResult result = connection_->write(unsent_);
    if (result.step == IoStep::kAgain) {
      connection_->want(io::Interest::kWrite);
      return false;
    }
    if (result.step != IoStep::kDone) {
      address_failed({Reason::kStarttlsReset, fmt::format("{}: {}", seen_.remote, result.text)});
      return false;
    }
    unsent_.erase(0, result.bytes);
  }
  return true;
}

void ConnectChain::step_upgrade() {
  if (!unsent_.empty()) {
    if (send_upgrade()) connection_->want(io::Interest::kRead);
    return;
  }
  const IoResult result = connection_->read(context_.scratch());
  if (result.step == IoStep::kAgain) return;
  if (result.step != IoStep::kDone) {
    const bool end = result.step == IoStep::kEnd;
    return address_failed(
        {end ? Reason::kStarttlsClosed : Reason::kStarttlsReset,
         fmt::format("{} {} {}", seen_.remote,
                     end ? "closed before" : "reset the connection before", dialog_->awaited())});
  }
  const auto state = dialog_->feed({context_.scratch().data(), result.bytes});
  if (seen_.banner.empty()) seen_.banner = dialog_->greeting().substr(0, kBannerMax);
  switch (state) {
    case starttls::State::kTalking:
      unsent_ = dialog_->take_output();
      if (send_upgrade()) connection_->want(io::Interest::kRead);
      return;
    case starttls::State::kReady:
      return begin_tls();
    case starttls::State::kFailed:
      return give_up({dialog_->failure().reason,
                      fmt::format("{}: {}", seen_.remote, dialog_->failure().detail)});
  }
}

void ConnectChain::begin_tls() {
  state_ = State::kHandshaking;
  phases_.enter(Phase::kTls, latency_clock());
  auto context = context_.tls(plan_.ca_pem);
  if (!context) return give_up({Reason::kSelfInternal, context.error().text});
  const bool own_name = !plan_.tls_name.empty();
  auto stream = io::TlsStream::open(
      *std::move(context), connection_->fd(), own_name ? plan_.tls_name : plan_.host,
      own_name ? plan_.tls_name_is_address : plan_.host_is_address, plan_.wishes);
  if (!stream) return give_up({Reason::kSelfInternal, stream.error().text});
  if (!plan_.alpn.empty()) (*stream)->offer_alpn(plan_.alpn);
  if (plan_.resumable) (*stream)->allow_resumption(plan_.session.get());
  if (plan_.identity != nullptr) {
    const auto used = (*stream)->use_identity(*plan_.identity);
    if (!used) return give_up({Reason::kPolicySecret, used.error().text});
  }
  connection_->set_tls(*std::move(stream));
  step_tls();
}

void ConnectChain::step_tls() {
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
      seen_.tls = tls.facts(plan_.tls_detail);
      return address_failed(
          {tls.failure().reason, fmt::format("{}: {}", seen_.remote, tls.failure().detail)});
  }
  seen_.tls = tls.facts(plan_.tls_detail);
  const auto bad = tls.verify_failure();
  if (bad && plan_.verify) {
    return give_up({bad->reason, fmt::format("{}: {}", seen_.remote, bad->detail)});
  }
  open();
}

void ConnectChain::address_failed(Failure failure) {
  note(seen_.remote, std::move(failure), connection_.get());
  next_address();
}

void ConnectChain::note(const std::string& remote, Failure failure, const Connection* connection) {
  const bool goes_on = next_ < addresses_.size() || !racing_.empty();
  if (goes_on && seen_.tried.size() < kTriedMax) {
    seen_.tried.push_back(fmt::format("{}: {}", remote, to_string(failure.reason)));
  }
  if (!first_failure_ ||
      (!blames_target(first_failure_->reason) && blames_target(failure.reason))) {
    first_failure_ = std::move(failure);
    first_tcp_ = {};
    if (connection != nullptr) first_tcp_ = io::tcp_facts(connection->fd());
  }
}

void ConnectChain::give_up(Failure failure) {
  state_ = State::kFailed;
  if (connection_) seen_.tcp = io::tcp_facts(connection_->fd());
  resolving_.reset();
  racing_.clear();
  connection_.reset();
  address_timer_.reset();
  owner_.on_connect_failed(std::move(failure));
}

const Connection* ConnectChain::connection() const {
  if (connection_ != nullptr) return connection_.get();
  return racing_.empty() ? nullptr : racing_.back()->connection.get();
}

void ConnectChain::open() {
  state_ = State::kOpen;
  address_timer_.reset();
  owner_.on_connected(std::move(connection_));
}

Failure ConnectChain::timed_out() const {
  switch (state_) {
    case State::kIdle:
    case State::kResolving:
      return {Reason::kDnsTimeout, fmt::format("no answer for {} in time", plan_.host)};
    case State::kConnecting:
      return {Reason::kConnectTimeout, fmt::format("{} did not answer in time", seen_.remote)};
    case State::kTunnelling:
      // The proxy took the request: that the server does not answer it is likelier than that the
      // proxy hangs, and an outage must not hide behind a proxy.
      return {Reason::kHttpProxy,
              fmt::format("the proxy {} did not open a tunnel in time", seen_.remote)};
    case State::kUpgrading:
      return {Reason::kStarttlsTimeout,
              fmt::format("{} did not send {} in time", seen_.remote, dialog_->awaited())};
    case State::kHandshaking:
      return {Reason::kTlsTimeout,
              fmt::format("{} did not finish the TLS handshake in time", seen_.remote)};
    case State::kOpen:
    case State::kFailed:
      break;
  }
  return {Reason::kSelfInternal, "the connection was not being opened"};
}

}  // namespace tocsin::agent

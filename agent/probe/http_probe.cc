#include "agent/probe/http_probe.h"

#include "agent/probe/http_connection.h"
#include "agent/probe/http_facts.h"
#include "common/assert/evaluator.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/codec/http2.h"
#include "common/io/tcp_connector.h"

namespace tocsin::agent {

namespace {

Reason reason_of(http1::FaultKind kind) {
  switch (kind) {
    case http1::FaultKind::kProtocol:
      return Reason::kHttpProtocol;
    case http1::FaultKind::kHeadTooLarge:
      return Reason::kHttpHeadersTooLarge;
    case http1::FaultKind::kTooManyInterim:
      return Reason::kHttpTooManyInterim;
    case http1::FaultKind::kTruncated:
      return Reason::kHttpTruncated;
    case http1::FaultKind::kEmpty:
      return Reason::kHttpEmptyReply;
    case http1::FaultKind::kStreamReset:
      return Reason::kHttpStreamReset;
    case http1::FaultKind::kGoaway:
      return Reason::kHttpGoaway;
    case http1::FaultKind::kWrongVersion:
      return Reason::kHttpVersion;
  }
  return Reason::kHttpProtocol;
}

}  // namespace

HttpProbe::HttpProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<HttpTarget>(this->spec().target)),
      asserted_(assertion::looks_at_body(this->spec())) {}

HttpProbe::~HttpProbe() = default;

void HttpProbe::begin() {
  auto url = parse_url(target_.url);
  if (!url) return finish(Failure{Reason::kPolicyUnsupported, url.error().text});
  auto credentials = load_credentials(context(), target_);
  if (!credentials) return finish(std::move(credentials).error());
  credentials_ = *std::move(credentials);
  if (!target_.resolver.empty()) {
    auto resolver = named_resolver(context(), target_.resolver);
    if (!resolver) return finish(std::move(resolver).error());
    resolver_ = *std::move(resolver);
  }
  plan_ = {*std::move(url), target_.method, target_.headers, target_.body, true};
  begin_hop();
}

void HttpProbe::begin_hop() {
  seen().tls.reset();
  reused_ = broken_ = false;
  verified_.reset();
  hop_status_ = 0;
  sent_headers_ = plan_.headers;
  const auto append = [&](const std::vector<Header>& more) {
    sent_headers_.insert(sent_headers_.end(), more.begin(), more.end());
  };
  if (plan_.at_home) append(credentials_.headers);
  if (!target_.proxy.empty() && !plan_.url.https) append(credentials_.proxy_headers);
  if (!cookies_.empty()) add_cookies();
  if (!take_kept()) connect();
}

/// To the monitor's own, if it has some: there is one such header (RFC 6265 section 5.4).
void HttpProbe::add_cookies() {
  std::string cookies = cookies_.header(plan_.url);
  if (cookies.empty()) return;
  for (Header& header : sent_headers_) {
    if (!iequals(header.name, "cookie")) continue;
    header.value.append("; ").append(cookies);
    return;
  }
  sent_headers_.push_back({"Cookie", std::move(cookies)});
}

void HttpProbe::connect() {
  // Said before anything is connected, because the spec is to blame.
  const auto encodable = http1::check_request(request());
  if (!encodable) return finish(Failure{Reason::kPolicyUnsupported, encodable.error().text});
  state_ = State::kConnecting;
  if (phases().phase() != Phase::kDns) phases().enter(Phase::kDns, latency_clock());
  auto plan = plan_http_connection(context(), target_, plan_, credentials_);
  if (!plan) return finish(std::move(plan).error());
  plan->family = spec().family;
  plan->resolver = resolver_.get();
  plan->tls_detail = wishes().tls_detail;
  plan->wishes.tls13_only = wishes().tls13_only;
  if (plan_.at_home) {
    if (target_.proxy.empty()) plan->address = wishes().address;
    if (wishes().identity) plan->identity = wishes().identity;
  }
  if (target_.connection != ConnectionMode::kCold && plan_.url.https) {
    plan->resumable = true;
    const std::string key = connection_key(target_, plan_, spec().family);
    if (auto kept = context().kept().session(key, context().loop().now().mono)) {
      plan->session = std::move(kept->session);
      verified_ = kept->verified;
    }
  }
  chain_ = std::make_unique<ConnectChain>(context(), *std::move(plan), deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

http1::Request HttpProbe::request() {
  return {.method = plan_.method,
          .url = plan_.url,
          .user_agent = context().user_agent(),
          .headers = sent_headers_,
          .body = plan_.body,
          .keep_alive = target_.connection == ConnectionMode::kReuse,
          .absolute_form = !target_.proxy.empty() && !plan_.url.https};
}

http1::ResponseLimits HttpProbe::limits() const {
  http1::ResponseLimits out;
  out.body_bytes = asserted_ ? kBodyMaxAsserted : kBodyMax;
  if (target_.body_max != 0) out.body_bytes = target_.body_max;
  return out;
}

/// The connection that an earlier attempt left, if the monitor wants it and it is still open.
bool HttpProbe::take_kept() {
  if (target_.connection != ConnectionMode::kReuse) return false;
  auto kept = context().kept().take(connection_key(target_, plan_, spec().family));
  if (!kept || !kept->exchange->start(request(), limits())) return false;
  reused_ = true;
  seen().dns_cached = true;  // Nothing was asked.
  if (phases().phase() == Phase::kDns) phases().become(Phase::kSend);
  seen().remote = std::move(kept->remote);
  seen().tls = std::move(kept->tls);
  connection_ = std::move(kept->connection);
  exchange_ = std::move(kept->exchange);
  begin_exchange();
  return true;
}

void HttpProbe::on_connected(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  const bool tls = connection_->tls() != nullptr;
  const bool http2 = tls ? connection_->tls()->alpn() == "h2"
                         : target_.version == HttpVersion::k2 && target_.proxy.empty();
  if (target_.version == HttpVersion::k2 && !http2) {
    return finish(Failure{Reason::kHttpVersion,
                          fmt::format("{} did not agree on HTTP/2 (ALPN)", seen().remote)});
  }
  if (http2) {
    io::send_without_delay(connection_->fd());
    exchange_ = std::make_unique<http2::Session>();
  } else {
    exchange_ = std::make_unique<http1::Exchange>();
  }
  const auto started = exchange_->start(request(), limits());
  if (!started) return finish(Failure{Reason::kPolicyUnsupported, started.error().text});
  begin_exchange();
}

void HttpProbe::begin_exchange() {
  connection_->set_handler(*this);
  state_ = State::kSending;
  phases().enter(Phase::kSend, latency_clock());
  step_send();
}

void HttpProbe::on_connect_failed(Failure failure) {
  fail(blame_proxy(target_, std::move(failure)));
}

void HttpProbe::on_ready() {
  switch (state_) {
    case State::kSending:
      // HTTP/2: the server's window may be used up, and it has to say that there is room again.
      return exchange_->pending().empty() ? step_receive() : step_send();
    case State::kReceiving:
      flush();
      return step_receive();
    case State::kIdle:
    case State::kConnecting:
    case State::kDone:
      break;
  }
  CHECK(false && "no descriptor is watched in this state");
}

/// True when nothing is left to write for now; else the connection tells when there is room, or
/// nothing more can be written at all.
bool HttpProbe::flush() {
  while (!broken_) {
    const std::string_view bytes = exchange_->pending();
    if (bytes.empty()) return true;
    const IoResult result = connection_->write(bytes);
    if (result.step == IoStep::kAgain) {
      io::send_without_delay(connection_->fd());
      connection_->want(state_ == State::kSending ? io::Interest::kWrite : io::Interest::kBoth);
      return false;
    }
    // A server may answer and close before it has read everything: look whether it did.
    broken_ = result.step != IoStep::kDone;
    if (!broken_) exchange_->consume(result.bytes);
  }
  return false;
}

void HttpProbe::step_send() {
  if (!flush() && !broken_) return;
  if (broken_ || exchange_->request_sent()) {
    state_ = State::kReceiving;
    phases().enter(Phase::kWait, latency_clock());
  }
  connection_->want(io::Interest::kRead);
}

void HttpProbe::step_receive() {
  const IoResult result = connection_->read(context().scratch());
  if (result.step == IoStep::kAgain) {
    flush();
    return;
  }
  if (result.step != IoStep::kDone) return on_end(result);
  const auto state = exchange_->feed({context().scratch().data(), result.bytes});
  if (exchange_->response_began() && phases().phase() != Phase::kReceive) {
    state_ = State::kReceiving;
    phases().enter(Phase::kReceive, latency_clock());
  }
  if (state == HttpExchange::State::kDone) return on_response();
  if (state == HttpExchange::State::kFailed) return on_fault();
  if (state_ == State::kSending) return step_send();
  if (flush()) connection_->want(io::Interest::kRead);
  // The loop tells again while there is more: without read-ahead TLS leaves what follows a record
  // in the socket, and the buffer holds a whole record.
}

void HttpProbe::on_fault() {
  const http1::Fault& fault = *exchange_->fault();
  fail({reason_of(fault.kind), fault.text});
}

void HttpProbe::on_end(const IoResult& result) {
  // A kept connection may have been closed while the request was on its way to it (RFC 9112
  // section 9.3.1): that says nothing about the server, so a fresh one is tried.
  if (reused_ && !exchange_->response_began()) {
    connection_.reset();
    exchange_.reset();
    return begin_hop();
  }
  if (result.step == IoStep::kFailed && connection_->tls() != nullptr) {
    return fail(
        {connection_->tls()->failure().reason, fmt::format("{}: {}", seen().remote, result.text)});
  }
  if (result.step == IoStep::kReset || result.step == IoStep::kFailed) {
    return fail({Reason::kHttpReset, fmt::format("{}: {}", seen().remote, result.text)});
  }
  if (exchange_->finish() == HttpExchange::State::kFailed) return on_fault();
  if (result.step == IoStep::kCut) {
    // Only the end of the connection says where this body ends, and anybody can cut a connection.
    return fail({Reason::kHttpTruncated,
                 "the connection ended without a TLS close, and the body has no length"});
  }
  on_response();
}

void HttpProbe::on_response() {
  const http1::Response& response = exchange_->response();
  const std::string* location = response.find("location");
  const bool follows = target_.redirects_max > 0 && is_redirect(response.status);
  if (!follows || location == nullptr) {
    take_facts();
    // Without conditions only 2xx passes.
    if (has_conditions() || seen().http->status / 100 != 2) note_tcp(*connection_);
    give_back();
    auto bad = decode_body(*seen().http, asserted_, limits().body_bytes);
    return bad ? fail(*std::move(bad)) : finish(std::nullopt);
  }
  if (redirects_ == static_cast<std::uint32_t>(target_.redirects_max)) {
    return fail(
        {Reason::kHttpTooManyRedirects, fmt::format("more than {} redirects; the last goes to {}",
                                                    redirects_, printable(*location, 120))});
  }
  follow(*location);
}

void HttpProbe::follow(const std::string& location) {
  auto next = plan_redirect(plan_, exchange_->response().status, location, target_.allow_downgrade);
  if (!next) return fail(std::move(next).error());
  for (const Header& header : exchange_->response().headers) {
    if (iequals(header.name, "set-cookie")) {
      cookies_.take(plan_.url, header.value, context().loop().now().wall);
    }
  }
  take_facts();  // If the next hop fails, this is what is known.
  give_back();
  end_hop(phases().so_far(latency_clock()));
  plan_ = *std::move(next);
  ++redirects_;
  begin_hop();
}

void HttpProbe::keep_session() {
  io::TlsStream* tls = connection_->tls();
  if (tls == nullptr || target_.connection == ConnectionMode::kCold) return;
  auto session = tls->session();
  if (session == nullptr) return;
  const MonoTime verified = tls->resumed() && verified_ ? *verified_ : context().loop().now().mono;
  context().kept().put_session(connection_key(target_, plan_, spec().family),
                               {std::move(session), verified});
}

/// Ends the connection, or leaves it to the next attempt when the monitor wants that.
void HttpProbe::give_back() {
  keep_session();
  if (target_.connection == ConnectionMode::kReuse && exchange_->reusable()) {
    context().kept().put(connection_key(target_, plan_, spec().family),
                         {std::move(connection_), std::move(exchange_), seen().remote, seen().tls});
  } else {
    // The exchange is complete, so nothing is lost by not waiting for the peer's close.
    io::close_by_reset(connection_->fd());
  }
  connection_.reset();
  exchange_.reset();
}

void HttpProbe::end_hop(const Phases& now) {
  hops_.push_back({printable(plan_.url.str(), HttpHop::kUrlMax), seen().remote, hop_status_,
                   between(hop_began_, now)});
  hop_began_ = now;
}

void HttpProbe::take_facts() {
  if (exchange_ == nullptr || exchange_->response().status == 0) return;
  hop_status_ = exchange_->response().status;
  seen().http = http_facts(exchange_->take_response());
  seen().http->redirects = redirects_;
  if (reused_) {
    seen().http->connection = ConnectionUse::kReused;
  } else if (connection_->tls() != nullptr && connection_->tls()->resumed()) {
    seen().http->connection = ConnectionUse::kResumed;
  }
}

void HttpProbe::fail(Failure failure) {
  strike_out(failure.detail, credentials_.secrets);
  finish(std::move(failure));
}

void HttpProbe::stop() {
  state_ = State::kDone;
  take_facts();
  if (redirects_ > 0) end_hop(seen().phases);
  if (seen().http) {
    seen().http->hops = std::move(hops_);
    strike_out(*seen().http, credentials_.secrets);
  }
  connection_.reset();
  exchange_.reset();
  chain_.reset();
}

const Connection* HttpProbe::connection() const { return open_connection(connection_, chain_); }

Failure HttpProbe::timed_out() const {
  switch (state_) {
    case State::kConnecting:
      return blame_proxy(target_, chain_->timed_out());
    case State::kSending:
      return {Reason::kHttpTimeout,
              fmt::format("{} did not take the whole request in time", seen().remote)};
    case State::kReceiving: {
      const http1::Response& response = exchange_->response();
      if (response.status == 0) {
        return {Reason::kHttpTimeout, fmt::format("{} did not answer in time", seen().remote)};
      }
      return {Reason::kHttpTimeout,
              fmt::format("{} answered {} and {} bytes of body, then not the rest in time",
                          seen().remote, response.status, response.body_bytes)};
    }
    case State::kIdle:
    case State::kDone:
      break;
  }
  return {Reason::kSelfInternal, "the attempt was not under way"};
}

}  // namespace tocsin::agent

#include "agent/probe/http_probe.h"

#include "common/assert/evaluator.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/io/tcp_connector.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

/// What may go to another origin. Everything else a user sets may be a credential.
bool is_harmless(std::string_view name) {
  static constexpr std::string_view kHarmless[] = {"accept", "accept-encoding", "accept-language",
                                                   "content-type", "user-agent"};
  return std::any_of(std::begin(kHarmless), std::end(kHarmless),
                     [&](std::string_view harmless) { return iequals(name, harmless); });
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// RFC 9110 section 15.4: 303 always becomes GET, and everybody does so after a POST with 301, 302.
bool becomes_get(int status, std::string_view method) {
  if (method == "HEAD") return false;
  return status == 303 || ((status == 301 || status == 302) && method == "POST");
}

Reason reason_of(http1::FaultKind kind) {
  switch (kind) {
    case http1::FaultKind::kProtocol:
      return Reason::kHttpProtocol;
    case http1::FaultKind::kHeadTooLarge:
      return Reason::kHttpHeadersTooLarge;
    case http1::FaultKind::kTruncated:
      return Reason::kHttpTruncated;
    case http1::FaultKind::kEmpty:
      return Reason::kHttpEmptyReply;
  }
  return Reason::kHttpProtocol;
}

}  // namespace

HttpProbe::HttpProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<HttpTarget>(this->spec().target)),
      method_(target_.method),
      headers_(target_.headers),
      body_(target_.body) {}

HttpProbe::~HttpProbe() = default;

void HttpProbe::begin() {
  auto url = parse_url(target_.url);
  if (!url) return finish(Failure{Reason::kPolicyUnsupported, url.error().text});
  url_ = *std::move(url);
  begin_hop();
}

void HttpProbe::begin_hop() {
  auto request = http1::encode_request({.method = method_,
                                        .url = url_,
                                        .user_agent = context().user_agent(),
                                        .headers = headers_,
                                        .body = body_});
  if (!request) return finish(Failure{Reason::kPolicyUnsupported, request.error().text});
  request_ = *std::move(request);
  sent_ = 0;
  parser_.reset();
  seen().tls.reset();
  state_ = State::kConnecting;
  if (phases().phase() != Phase::kDns) phases().enter(Phase::kDns, latency_clock());
  chain_ = std::make_unique<ConnectChain>(context(),
                                          ConnectPlan{.host = url_.host,
                                                      .host_is_address = url_.host_is_address,
                                                      .port = url_.port,
                                                      .family = spec().family,
                                                      .tls = url_.https,
                                                      .verify = target_.verify,
                                                      .ca_pem = target_.ca_pem},
                                          deadline(), phases(), seen(),
                                          static_cast<ConnectOwner&>(*this));
  chain_->start();
}

void HttpProbe::on_connected(std::unique_ptr<Connection> connection) {
  connection_ = std::move(connection);
  connection_->set_handler(*this);
  http1::ResponseLimits limits;
  limits.body_bytes = assertion::looks_at_body(spec()) ? kBodyMaxAsserted : kBodyMax;
  parser_.emplace(method_ == "HEAD", limits);
  state_ = State::kSending;
  phases().enter(Phase::kSend, latency_clock());
  step_send();
}

void HttpProbe::on_connect_failed(Failure failure) { finish(std::move(failure)); }

void HttpProbe::on_ready() {
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

void HttpProbe::step_send() {
  while (sent_ < request_.size()) {
    const IoResult result = connection_->write(std::string_view{request_}.substr(sent_));
    if (result.step == IoStep::kAgain) return;
    // A server may answer and close before it has read everything: look whether it did.
    if (result.step != IoStep::kDone) break;
    sent_ += result.bytes;
  }
  state_ = State::kReceiving;
  phases().enter(Phase::kWait, latency_clock());
  if (sent_ < request_.size()) return step_receive();
  connection_->want(io::Interest::kRead);
}

void HttpProbe::step_receive() {
  const IoResult result = connection_->read(context().scratch());
  if (result.step == IoStep::kAgain) return;
  if (result.step != IoStep::kDone) return on_end(result);
  if (phases().phase() == Phase::kWait) phases().enter(Phase::kReceive, latency_clock());
  const auto parsed = parser_->feed({context().scratch().data(), result.bytes});
  if (parsed == http1::ResponseParser::State::kDone) return on_response();
  if (parsed == http1::ResponseParser::State::kFailed) {
    return finish(Failure{reason_of(parser_->fault()->kind), parser_->fault()->text});
  }
  // The loop tells again while there is more: without read-ahead TLS leaves what follows a record
  // in the socket, and the buffer holds a whole record.
}

void HttpProbe::on_end(const IoResult& result) {
  if (result.step == IoStep::kReset || result.step == IoStep::kFailed) {
    return finish(Failure{Reason::kHttpReset, fmt::format("{}: {}", seen().remote, result.text)});
  }
  const auto ended = parser_->finish();
  if (ended == http1::ResponseParser::State::kFailed) {
    return finish(Failure{reason_of(parser_->fault()->kind), parser_->fault()->text});
  }
  if (result.step == IoStep::kCut) {
    // Only the end of the connection says where this body ends, and anybody can cut a connection.
    return finish(Failure{Reason::kHttpTruncated,
                          "the connection ended without a TLS close, and the body has no length"});
  }
  on_response();
}

void HttpProbe::on_response() {
  const http1::Response& response = parser_->response();
  const std::string* location = response.find("location");
  const bool follows = target_.redirects_max > 0 && is_redirect(response.status);
  if (!follows || location == nullptr) {
    // The exchange is complete, so nothing is lost by not waiting for the peer's close.
    io::close_by_reset(connection_->fd());
    return finish(std::nullopt);
  }
  if (redirects_ == static_cast<std::uint32_t>(target_.redirects_max)) {
    return finish(Failure{Reason::kHttpTooManyRedirects,
                          fmt::format("more than {} redirects; the last goes to {}", redirects_,
                                      printable(*location, 120))});
  }
  follow(*location);
}

void HttpProbe::follow(const std::string& location) {
  auto next = resolve_url(url_, location);
  if (!next) return finish(Failure{Reason::kHttpBadRedirect, next.error().text});
  if (url_.https && !next->https) {
    return finish(Failure{Reason::kHttpBadRedirect,
                          fmt::format("from https to {}", printable(next->str(), 150))});
  }
  const int status = parser_->response().status;
  if (becomes_get(status, method_)) {
    method_ = "GET";
    body_.clear();
    std::erase_if(headers_, [](const Header& h) { return iequals(h.name, "content-type"); });
  }
  if (!next->same_origin(url_)) {
    std::erase_if(headers_, [](const Header& h) { return !is_harmless(h.name); });
  }
  take_facts();  // If the next hop fails, this is what is known.
  io::close_by_reset(connection_->fd());
  connection_.reset();
  url_ = *std::move(next);
  ++redirects_;
  begin_hop();
}

void HttpProbe::take_facts() {
  if (!parser_ || parser_->response().status == 0) return;
  http1::Response response = parser_->take_response();
  HttpFacts facts;
  facts.status = response.status;
  facts.version = std::move(response.version);
  facts.headers = std::move(response.headers);
  facts.body = std::move(response.body);
  facts.body_bytes = response.body_bytes;
  facts.body_cut = response.body_cut;
  facts.redirects = redirects_;
  seen().http = std::move(facts);
}

void HttpProbe::stop() {
  state_ = State::kDone;
  take_facts();
  connection_.reset();
  chain_.reset();
}

Failure HttpProbe::timed_out() const {
  switch (state_) {
    case State::kConnecting:
      return chain_->timed_out();
    case State::kSending:
      return {Reason::kHttpTimeout, fmt::format("{} took {} of {} bytes of the request",
                                                seen().remote, sent_, request_.size())};
    case State::kReceiving: {
      const http1::Response& response = parser_->response();
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

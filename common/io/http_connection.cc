#include "common/base/digest.h"
#include "common/io/forwarded.h"
#include "common/io/http_head.h"
#include "common/io/http_server_impl.h"

#include <algorithm>
#include <sys/socket.h>

namespace tocsin::io {

namespace {

/// A body up to here is copied behind its head and leaves in one piece.
constexpr std::size_t kJoinedBodyBytes = 16 * 1024;
/// Requests of one connection answered before others have their turn.
constexpr int kRequestsPerTurn = 16;

}  // namespace

HttpServer::Connection::Connection(Impl& server, std::uint64_t id, Fd fd, const IpAddress& peer,
                                   std::unique_ptr<TlsStream> tls)
    : server_(server),
      id_(id),
      fd_(std::move(fd)),
      tls_(std::move(tls)),
      parser_(server.options.limits),
      peer_(peer.str()),
      client_(client_key(peer)),
      secure_(tls_ == nullptr) {
  if (is_trusted(server.options.trusted_proxies, peer)) proxy_ = peer;
  watch_ =
      server_.loop.watch(fd_.get(), Interest::kRead, [this](Interest ready) { on_ready(ready); });
  wait(Wait::kHeader);  // A connection that never asks is not worth an idle deadline.
}

HttpServer::Connection::~Connection() {
  set_unsent(0);
  set_body(0);
  if (stream_) {
    set_stream_buffered(0);
    detach_stream();
    --server_.stats.streams;
  }
  unqueue();
  watch_.reset();
}

// --- requests and answers ---

bool HttpServer::Connection::advance() {
  for (int handled = 0;;) {
    if (doomed_) return false;
    if (wait_ == Wait::kLinger) return !eof_;
    if (!flush()) return false;
    if (unsent() > 0) {
      wait(Wait::kWrite);
      return true;
    }
    if (stream_) {
      if (eof_ || !flush_stream()) return false;
      if (stream_->ending && stream_->buffered == 0) return linger();
      wait(Wait::kStream);
      return true;
    }
    if (answering_) {
      wait(Wait::kAnswer);
      return true;
    }
    if (close_after_) return linger();
    if (handled == kRequestsPerTurn || !server_.has_budget()) {
      if (!deferred_) {
        deferred_ = true;
        watch_->set(Interest::kNone);
        server_.defer(id_);
      }
      return true;
    }

    const std::size_t used = parser_.feed(in_);
    if (used == in_.size()) {
      in_.clear();
    } else {
      in_.erase(0, used);
    }
    switch (parser_.status()) {
      case codec::HttpRequestParser::Status::kNeedMore:
        if (eof_) return false;
        if (parser_.expects_continue() && !continued_) {
          continued_ = true;
          out_ = "HTTP/1.1 100 Continue\r\n\r\n";
          continue;
        }
        if (parser_.in_body()) {
          set_body(parser_.body_bytes());
          if (server_.stats.body_bytes > server_.options.bodies_bytes_max) {
            refuse(HttpResponse::problem(503, "too many requests are arriving"));
            continue;
          }
          wait(Wait::kBody);
        } else if (parser_.started() || first_) {
          wait(Wait::kHeader);
        } else if (server_.draining) {
          return false;
        } else {
          wait(Wait::kIdle);
        }
        return true;
      case codec::HttpRequestParser::Status::kRefused: {
        ++server_.stats.refused;
        server_.spend(kRequestCost);
        const codec::HttpRefusal refusal = parser_.refusal();
        refuse(HttpResponse::problem(refusal.status, refusal.why));
        continue;
      }
      case codec::HttpRequestParser::Status::kComplete:
        break;
    }
    ++handled;
    handle_request();
  }
}

void HttpServer::Connection::handle_request() {
  server_.spend(kRequestCost);
  ++server_.stats.requests;
  ++serial_;
  first_ = false;
  continued_ = false;
  set_body(0);
  unqueue();
  wait_ = Wait::kNone;  // The next request has deadlines of its own.
  codec::HttpRequest request = parser_.take();
  request.peer =
      proxy_ ? client_of(request, *proxy_, server_.options.trusted_proxies).str() : peer_;
  keep_ = request.keep_alive;
  method_ = request.method;
  minor_version_ = request.minor_version;
  if_none_match_.clear();
  if (const auto tag = request.header("if-none-match")) if_none_match_ = *tag;
  answering_ = true;
  inside_handler_ = true;
  server_.handler(std::move(request), HttpResponder{server_.loop, server_.self, id_, serial_});
  inside_handler_ = false;
}

void HttpServer::Connection::set_gone(std::function<void()> callback) {
  if (!tls_) gone_ = std::move(callback);
}

void HttpServer::Connection::take_answer(HttpResponse response) {
  answering_ = false;
  gone_ = nullptr;
  queue(std::move(response), keep_ && !server_.draining && !eof_);
}

void HttpServer::Connection::refuse(HttpResponse problem) {
  in_.clear();
  set_body(0);
  method_ = codec::HttpMethod::kGet;
  minor_version_ = 1;
  if_none_match_.clear();
  queue(std::move(problem), false);
}

void HttpServer::Connection::queue(HttpResponse response, bool keep) {
  const HttpServerOptions& options = server_.options;
  if (response.body.size() > options.answer_bytes_max) {
    log::error("answer is too large", {{"bytes", response.body.size()}});
    response = HttpResponse::problem(500, "the answer is too large");
  }
  if (server_.stats.unsent_bytes + response.body.size() > options.unsent_bytes_max) {
    response = HttpResponse::problem(503, "too many answers wait for slow readers");
    response.headers.push_back({"Retry-After", "5"});
  }
  const bool cacheable = method_ == codec::HttpMethod::kGet || method_ == codec::HttpMethod::kHead;
  std::string etag;
  if (response.etag && response.status == 200 && cacheable) {
    etag = "\"" + to_hex(digest16(as_bytes(response.body))) + "\"";
    if (names_etag(if_none_match_, etag)) {
      response.status = 304;
      response.body.clear();
    }
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  append_head(out_, response,
              {.date = server_.date(),
               .etag = etag,
               .framing = bodiless ? HttpFraming::kNoBody : HttpFraming::kLength,
               .keep = keep,
               .minor_version = minor_version_});
  if (!bodiless && method_ != codec::HttpMethod::kHead) {
    if (response.body.size() <= kJoinedBodyBytes) {
      out_.append(response.body);
    } else {
      body_ = std::move(response.body);
    }
  }
  set_unsent(unsent());
  close_after_ = close_after_ || !keep;
}

bool HttpServer::Connection::linger() {
  if (stream_) {
    detach_stream();
    stream_.reset();
    --server_.stats.streams;
  }
  if (tls_ && secure_) tls_->say_goodbye();
  if (eof_ || ::shutdown(fd_.get(), SHUT_WR) != 0) return false;
  in_.clear();
  wait(Wait::kLinger);
  return true;
}

// --- waiting ---

void HttpServer::Connection::wait(Wait what) {
  Interest interest = what == Wait::kWrite    ? Interest::kWrite
                      : what == Wait::kAnswer ? (gone_ ? Interest::kRead : Interest::kNone)
                                              : Interest::kRead;
  if (what == Wait::kStream && stream_->buffered > 0) interest = Interest::kBoth;
  if (tls_wants_write_) interest = interest | Interest::kWrite;
  watch_->set(interest);
  if (what == Wait::kStream) watch_stream_rate();
  // The deadline of a phase runs from its beginning, however often bytes trickle in.
  if (what == wait_) return;
  unqueue();
  wait_ = what;
  if (what == Wait::kNone || what == Wait::kStream) return;
  if (what == Wait::kWrite) {
    const HttpServerOptions& o = server_.options;
    write_deadline_ = server_.loop.after(
        o.write_grace +
            std::chrono::seconds{static_cast<std::int64_t>(unsent() / o.write_bytes_per_second)},
        [this] { on_deadline(); });
    return;
  }
  Impl::Queue& queue = server_.queues.at(static_cast<std::size_t>(what));
  due_ = server_.loop.now().mono + queue.limit;
  before_ = queue.last;
  (queue.last == nullptr ? queue.first : queue.last->behind_) = this;
  queue.last = this;
  server_.arm(queue);
  if (server_.connections.size() >= server_.options.connections_max) server_.update_accepting();
}

void HttpServer::Connection::unqueue() {
  write_deadline_.reset();
  if (wait_ == Wait::kNone || wait_ >= Wait::kWrite) return;
  Impl::Queue& queue = server_.queues.at(static_cast<std::size_t>(wait_));
  (before_ == nullptr ? queue.first : before_->behind_) = behind_;
  (behind_ == nullptr ? queue.last : behind_->before_) = before_;
  before_ = nullptr;
  behind_ = nullptr;
}

void HttpServer::Connection::on_deadline() {
  switch (wait_) {
    case Wait::kHeader:
    case Wait::kBody:
      ++server_.stats.timed_out;
      if (!parser_.started()) return server_.remove(id_);
      refuse(HttpResponse::problem(408, "the request took too long to arrive"));
      break;
    case Wait::kAnswer:
      ++server_.stats.timed_out;
      answering_ = false;
      gone_ = nullptr;
      queue(HttpResponse::problem(503, "the answer took too long"), false);
      break;
    case Wait::kWrite:
      ++server_.stats.timed_out;
      return server_.remove(id_);
    case Wait::kNone:
    case Wait::kIdle:
    case Wait::kLinger:
    case Wait::kStream:
      return server_.remove(id_);
  }
  unqueue();
  wait_ = Wait::kNone;
  if (!advance()) server_.remove(id_);
}

}  // namespace tocsin::io

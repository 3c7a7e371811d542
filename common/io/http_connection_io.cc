#include "common/io/http_server_impl.h"

#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>

namespace tocsin::io {

namespace {

/// A connection's buffer that has grown beyond is given back when it is empty.
constexpr std::size_t kKeptBufferBytes = 32 * 1024;
/// What a client may still say after its last request, and while it is being streamed to.
constexpr std::size_t kLingerBytes = 1 << 20;

}  // namespace

Io HttpServer::Connection::read(std::span<char> into, std::size_t& moved) {
  moved = 0;
  if (tls_ && wait_ != Wait::kLinger) {
    const TlsResult result = tls_->read(into);
    tls_wants_write_ = result.step == TlsStep::kWantWrite;
    moved = result.bytes;
    switch (result.step) {
      case TlsStep::kDone:
        return Io::kMoved;
      case TlsStep::kWantRead:
      case TlsStep::kWantWrite:
        return Io::kNotNow;
      case TlsStep::kClosed:
      case TlsStep::kCut:
        return Io::kEnd;
      case TlsStep::kReset:
      case TlsStep::kFailed:
        return Io::kBroken;
    }
  }
  const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
  if (n < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Io::kNotNow : Io::kBroken;
  }
  moved = static_cast<std::size_t>(n);
  return n == 0 ? Io::kEnd : Io::kMoved;
}

Io HttpServer::Connection::write(std::string_view head, std::string_view body, std::size_t& moved) {
  moved = 0;
  if (tls_) {
    const TlsResult result = tls_->write(head.empty() ? body : head);
    moved = result.bytes;
    if (result.step == TlsStep::kDone) return Io::kMoved;
    const bool later = result.step == TlsStep::kWantRead || result.step == TlsStep::kWantWrite;
    return later ? Io::kNotNow : Io::kBroken;
  }
  ssize_t n = 0;
  if (body.empty() || head.empty()) {
    const std::string_view one = head.empty() ? body : head;
    n = ::send(fd_.get(), one.data(), one.size(), MSG_NOSIGNAL);
  } else {
    std::array<iovec, 2> parts{iovec{const_cast<char*>(head.data()), head.size()},
                               iovec{const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  }
  if (n < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Io::kNotNow : Io::kBroken;
  }
  moved = static_cast<std::size_t>(n);
  return Io::kMoved;
}

bool HttpServer::Connection::shake_hands() {
  const TlsStep step = tls_->handshake();
  switch (step) {
    case TlsStep::kDone:
      secure_ = true;
      watch_->set(Interest::kRead);
      return true;
    case TlsStep::kWantRead:
      watch_->set(Interest::kRead);
      return true;
    case TlsStep::kWantWrite:
      watch_->set(Interest::kBoth);
      return true;
    case TlsStep::kClosed:
    case TlsStep::kCut:
    case TlsStep::kReset:
    case TlsStep::kFailed:
      break;
  }
  ++server_.stats.tls_failed;
  return false;
}

void HttpServer::Connection::on_ready(Interest ready) {
  if (!server_.has_budget()) {
    if (deferred_) return;
    deferred_ = true;
    watch_->set(Interest::kNone);
    return server_.defer(id_);
  }
  if (!secure_) {
    server_.spend(kRequestCost);  // A handshake is dear.
    if (!shake_hands()) return server_.remove(id_);
    if (!secure_) return;
  }
  const bool reads = has(ready, Interest::kRead) || tls_wants_write_;
  if (wait_ == Wait::kAnswer && gone_) {
    if (!look_whether_gone()) return;
    const std::function<void()> gone = std::move(gone_);
    server_.remove(id_);  // Destroys this.
    return gone();
  }
  if (reads && in_.empty() && wait_ != Wait::kWrite && wait_ != Wait::kAnswer && !read_some()) {
    return server_.remove(id_);
  }
  if (!advance()) server_.remove(id_);
}

void HttpServer::Connection::go_on() {
  deferred_ = false;
  on_ready(Interest::kBoth);
}

bool HttpServer::Connection::read_some() {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): only what was read is looked at.
  std::array<char, kReadBytes> buffer;
  std::size_t n = 0;
  switch (read(buffer, n)) {
    case Io::kNotNow:
      return true;
    case Io::kBroken:
      return false;
    case Io::kEnd:
      eof_ = true;
      return true;
    case Io::kMoved:
      break;
  }
  server_.spend(n);
  if (wait_ == Wait::kLinger || stream_) {
    lingered_ += n;
    return lingered_ <= kLingerBytes;
  }
  in_.append(buffer.data(), n);
  return true;
}

bool HttpServer::Connection::look_whether_gone() {
  char byte = 0;
  const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK);
  if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
  if (n == 0) return true;
  // The next request waits there, and would wake us again and again.
  gone_ = nullptr;
  watch_->set(Interest::kNone);
  return false;
}

bool HttpServer::Connection::flush() {
  while (unsent() > 0) {
    const std::size_t head = std::min(sent_, out_.size());
    std::size_t n = 0;
    switch (write(std::string_view{out_}.substr(head), std::string_view{body_}.substr(sent_ - head),
                  n)) {
      case Io::kMoved:
        sent_ += n;
        break;
      case Io::kNotNow:
        set_unsent(unsent());
        return true;
      case Io::kEnd:
      case Io::kBroken:
        return false;
    }
  }
  if (sent_ == 0) return true;
  if (out_.capacity() > kKeptBufferBytes) {
    out_ = {};
  } else {
    out_.clear();
  }
  body_ = {};
  sent_ = 0;
  set_unsent(0);
  return true;
}

void HttpServer::Connection::set_unsent(std::size_t bytes) {
  server_.stats.unsent_bytes += bytes;
  server_.stats.unsent_bytes -= counted_;
  counted_ = bytes;
}

void HttpServer::Connection::set_body(std::size_t bytes) {
  server_.stats.body_bytes += bytes;
  server_.stats.body_bytes -= body_counted_;
  body_counted_ = bytes;
}

}  // namespace tocsin::io

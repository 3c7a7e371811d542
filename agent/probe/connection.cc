#include "agent/probe/connection.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace tocsin::agent {

namespace {

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

IoResult from_errno(int error) {
  const bool reset = error == ECONNRESET || error == EPIPE;
  return {reset ? IoStep::kReset : IoStep::kFailed, 0, std::strerror(error)};
}

}  // namespace

Connection::Connection(io::EventLoop& loop, io::Fd fd, ReadyHandler& handler, io::Interest interest)
    : fd_(std::move(fd)),
      handler_(&handler),
      watch_(loop.watch(fd_.get(), interest, [this](io::Interest) { handler_->on_ready(); })) {}

Connection::~Connection() = default;

IoResult Connection::from_tls(io::TlsResult result) {
  switch (result.step) {
    case io::TlsStep::kDone:
      return {IoStep::kDone, result.bytes, {}};
    case io::TlsStep::kWantRead:
      want(io::Interest::kRead);
      return {IoStep::kAgain, 0, {}};
    case io::TlsStep::kWantWrite:
      want(io::Interest::kWrite);
      return {IoStep::kAgain, 0, {}};
    case io::TlsStep::kClosed:
      return {IoStep::kEnd, 0, {}};
    case io::TlsStep::kCut:
      return {IoStep::kCut, 0, tls_->failure().detail};
    case io::TlsStep::kReset:
      return {IoStep::kReset, 0, tls_->failure().detail};
    case io::TlsStep::kFailed:
      return {IoStep::kFailed, 0, tls_->failure().detail};
  }
  return {};
}

IoResult Connection::read(std::span<char> into) {
  if (tls_ != nullptr) return from_tls(tls_->read(into));
  const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
  if (n > 0) return {IoStep::kDone, static_cast<std::size_t>(n), {}};
  if (n == 0) return {IoStep::kEnd, 0, {}};
  if (!would_block(errno)) return from_errno(errno);
  want(io::Interest::kRead);
  return {IoStep::kAgain, 0, {}};
}

IoResult Connection::write(std::string_view bytes) {
  if (tls_ != nullptr) return from_tls(tls_->write(bytes));
  const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (n >= 0) return {IoStep::kDone, static_cast<std::size_t>(n), {}};
  if (!would_block(errno)) return from_errno(errno);
  want(io::Interest::kWrite);
  return {IoStep::kAgain, 0, {}};
}

}  // namespace tocsin::agent

#include "common/io/http_head.h"
#include "common/io/http_server_impl.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::io {

namespace {

/// The end of a chunked body.
constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace

// --- the connection's side ---

std::unique_ptr<HttpStream> HttpServer::Connection::start_stream(const HttpResponse& head) {
  if (server_.draining || server_.stats.streams >= server_.options.streams_max) {
    HttpResponse busy = HttpResponse::problem(503, "too many streams are open");
    busy.headers.push_back({"Retry-After", "5"});
    take_answer(std::move(busy));
    return nullptr;
  }
  if (eof_) {
    doomed_ = true;
    answering_ = false;
    return nullptr;
  }
  answering_ = false;
  auto stream = std::make_unique<Stream>();
  stream->chunked = minor_version_ == 1;
  append_head(out_, head,
              {.date = server_.date(),
               .etag = {},
               .framing = stream->chunked ? HttpFraming::kChunked : HttpFraming::kUntilClose,
               .keep = false,
               .minor_version = minor_version_});
  set_unsent(unsent());
  if (method_ == codec::HttpMethod::kHead) {
    close_after_ = true;
    return nullptr;
  }
  stream_ = std::move(stream);
  ++server_.stats.streams;
  // A stream lives for hours and needs none of this.
  in_ = {};
  lingered_ = 0;
  std::unique_ptr<HttpStream> owner{new HttpStream{server_.loop}};
  owner->connection_ = this;
  stream_->owner = owner.get();
  if (!head.body.empty()) stream_send(HttpPiece{head.body});
  return owner;
}

void HttpServer::Connection::stream_send(const HttpPiece& piece) {
  Stream& stream = *stream_;
  if (stream.ending || doomed_ || piece.size_ == 0) return;
  std::string_view rest = bytes_of(piece);
  // The head goes first, and what is buffered.
  if (unsent() == 0 && stream.buffered == 0 && !inside_handler_) {
    std::size_t n = 0;
    if (write({}, rest, n) == Io::kBroken) return cut_stream(nullptr);
    stream.sent += n;
    rest.remove_prefix(n);
    if (rest.empty()) return;
  }
  if (stream.buffered == 0) stream.offset = bytes_of(piece).size() - rest.size();
  stream.pieces.push_back(piece);
  set_stream_buffered(stream.buffered + rest.size());
  if (stream.buffered > server_.options.stream_bytes_max) return cut_stream("its reader is slow");
  if (server_.stats.stream_bytes > server_.options.streams_bytes_max) {
    return cut_stream("readers together are slow");
  }
  if (wait_ == Wait::kStream) wait(Wait::kStream);
}

bool HttpServer::Connection::flush_stream() {
  Stream& stream = *stream_;
  while (stream.buffered > 0) {
    const std::string_view rest = bytes_of(stream.pieces[stream.first]).substr(stream.offset);
    std::size_t n = 0;
    switch (write({}, rest, n)) {
      case Io::kNotNow:
        return true;
      case Io::kEnd:
      case Io::kBroken:
        return false;
      case Io::kMoved:
        break;
    }
    stream.sent += n;
    set_stream_buffered(stream.buffered - n);
    stream.offset += n;
    if (n < rest.size()) continue;
    stream.offset = 0;
    ++stream.first;
    if (stream.first == stream.pieces.size()) {
      stream.pieces = {};
      stream.first = 0;
    } else if (stream.first >= 64 && stream.first * 2 >= stream.pieces.size()) {
      stream.pieces.erase(stream.pieces.begin(),
                          stream.pieces.begin() + static_cast<std::ptrdiff_t>(stream.first));
      stream.first = 0;
    }
  }
  return true;
}

void HttpServer::Connection::set_stream_buffered(std::size_t bytes) {
  server_.stats.stream_bytes += bytes;
  server_.stats.stream_bytes -= stream_->buffered;
  stream_->buffered = bytes;
}

void HttpServer::Connection::watch_stream_rate() {
  Stream& stream = *stream_;
  if (stream.buffered == 0) {
    stream.deadline.reset();
    return;
  }
  if (stream.deadline) return;
  // What is buffered now must have been taken by then, whatever is buffered meanwhile.
  stream.owed = stream.sent + stream.buffered;
  const HttpServerOptions& o = server_.options;
  const Duration limit =
      o.write_grace +
      std::chrono::seconds{static_cast<std::int64_t>(stream.buffered / o.write_bytes_per_second)};
  stream.deadline = server_.loop.after(limit, [this] {
    Stream& late = *stream_;
    late.deadline.reset();
    if (late.sent >= late.owed) return watch_stream_rate();
    ++server_.stats.timed_out;
    ++server_.stats.streams_cut;
    server_.remove(id_);
  });
}

void HttpServer::Connection::stream_drop_buffered() {
  Stream& stream = *stream_;
  if (stream.buffered == 0) return;
  // A piece of which a part was sent must be sent whole, or the framing breaks; and OpenSSL may
  // have sealed the first one already.
  const std::size_t keep = stream.first + (stream.offset > 0 || tls_ ? 1 : 0);
  std::size_t dropped = 0;
  for (std::size_t i = keep; i < stream.pieces.size(); ++i) {
    dropped += bytes_of(stream.pieces[i]).size();
  }
  stream.pieces.erase(stream.pieces.begin() + static_cast<std::ptrdiff_t>(keep),
                      stream.pieces.end());
  set_stream_buffered(stream.buffered - dropped);
  stream.owed = std::min(stream.owed, stream.sent + stream.buffered);
}

void HttpServer::Connection::end_stream() {
  Stream& stream = *stream_;
  if (stream.ending) return;
  detach_stream();
  if (stream.chunked) {
    // Framing of its own: an empty piece would be skipped by stream_send.
    HttpPiece last;
    last.framed_ = std::make_shared<const std::string>(kLastChunk);
    last.size_ = kLastChunk.size();
    if (stream.buffered == 0) stream.offset = 0;
    stream.pieces.push_back(last);
    set_stream_buffered(stream.buffered + kLastChunk.size());
  }
  stream.ending = true;
}

void HttpServer::Connection::stream_close() {
  end_stream();
  if (inside_handler_ || advance()) return;
  doomed_ = true;
  server_.doom(id_);  // Whoever closes may be walking through all streams.
}

void HttpServer::Connection::detach_stream() {
  if (stream_->owner == nullptr) return;
  HttpStream* const owner = std::exchange(stream_->owner, nullptr);
  owner->ended();
}

void HttpServer::Connection::cut_stream(const char* why) {
  if (why != nullptr) {
    ++server_.stats.streams_cut;
    if (const auto left_out = server_.warnings.pass(why, server_.loop.now().mono)) {
      log::warning("http stream is cut",
                   {{"because", why}, {"buffered", stream_->buffered}, {"left_out", *left_out}});
    }
  }
  detach_stream();
  doomed_ = true;
  server_.doom(id_);
}

// --- the owner's side ---

HttpPiece::HttpPiece(std::string_view bytes)
    : size_(bytes.size()) {
  std::string framed = fmt::format("{:x}\r\n", bytes.size());
  begin_ = framed.size();
  framed.append(bytes).append("\r\n");
  framed_ = std::make_shared<const std::string>(std::move(framed));
}

HttpStream::HttpStream(EventLoop& loop)
    : loop_(loop) {}

HttpStream::~HttpStream() { close(); }

void HttpStream::send(const HttpPiece& piece) {
  if (connection_ != nullptr) {
    static_cast<HttpServer::Connection*>(connection_)->stream_send(piece);
  }
}

std::size_t HttpStream::buffered() const {
  return connection_ == nullptr
             ? 0
             : static_cast<const HttpServer::Connection*>(connection_)->stream_buffered();
}

void HttpStream::drop_buffered() {
  if (connection_ != nullptr) {
    static_cast<HttpServer::Connection*>(connection_)->stream_drop_buffered();
  }
}

void HttpStream::close() {
  on_close_ = nullptr;
  notify_.reset();
  if (connection_ == nullptr) return;
  static_cast<HttpServer::Connection*>(std::exchange(connection_, nullptr))->stream_close();
}

void HttpStream::ended() {
  connection_ = nullptr;
  if (!on_close_) return;
  notify_ = loop_.after(Duration{0}, [this] {
    const std::function<void()> callback = std::move(on_close_);
    callback();  // May destroy this.
  });
}

}  // namespace tocsin::io

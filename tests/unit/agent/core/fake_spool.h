#pragma once
// Question answered here: what does the conductor see of a spool, without a disk?

#include "agent/core/conductor.h"

#include <map>

namespace tocsin::agent {

class FakeSpool final : public SpoolView {
 public:
  /// Adds the next frame of a stream with a digest made of its seq.
  FrameRef add(const StreamId& stream, std::uint32_t size = 1000) {
    std::vector<FrameRef>& frames = streams_[stream];
    FrameRef f;
    f.stream = stream;
    f.first = f.last = frames.empty() ? 1 : frames.back().last + 1;
    f.digest = digest(f.last);
    f.size = size;
    f.results = 1;
    frames.push_back(f);
    return f;
  }

  static Digest16 digest(std::uint64_t seq) {
    return Digest16{static_cast<std::uint8_t>(seq), 0xd1};
  }

  void forget(const StreamId& stream, std::uint64_t upto) {
    std::erase_if(streams_[stream], [&](const FrameRef& f) { return f.last <= upto; });
  }

  std::vector<StreamOffer> offers() const override {
    std::vector<StreamOffer> out;
    for (const auto& [id, frames] : streams_) {
      out.push_back({id, frames.front().first, frames.back().last, frames.back().digest});
    }
    return out;
  }

  std::vector<FrameRef> frames_after(const StreamId& stream, std::uint64_t seq,
                                     std::size_t limit) const override {
    std::vector<FrameRef> out;
    const auto at = streams_.find(stream);
    if (at == streams_.end()) return out;
    for (const FrameRef& f : at->second) {
      if (f.last > seq && out.size() < limit) out.push_back(f);
    }
    return out;
  }

  std::optional<Digest16> digest_of(const StreamId& stream, std::uint64_t seq) const override {
    const auto at = streams_.find(stream);
    if (at == streams_.end() || seq > at->second.back().last) return std::nullopt;
    return digest(seq);
  }

 private:
  std::map<StreamId, std::vector<FrameRef>> streams_;
};

}  // namespace tocsin::agent

#include "tests/support/sim_disk.h"

#include <algorithm>

namespace tocsin::testing {

void SimDiskState::power_cut(Rng& rng) {
  for (auto at = files.begin(); at != files.end();) {
    File& file = at->second;
    if (!file.created_durable && rng.chance(0.5)) {
      at = files.erase(at);
      continue;
    }
    const std::size_t volatile_bytes = file.bytes.size() - file.durable;
    if (volatile_bytes > 0) file.bytes.resize(file.durable + rng.below(volatile_bytes + 1));
    file.durable = file.bytes.size();
    file.created_durable = true;
    ++at;
  }
}

Expected<std::vector<agent::Disk::File>> SimDisk::list() {
  std::vector<File> out;
  for (const auto& [name, file] : state_.files) {
    if (!name.ends_with(".corrupt")) out.push_back({name, file.bytes.size()});
  }
  return out;
}

std::uint64_t SimDisk::used() const {
  std::uint64_t sum = 0;
  for (const auto& [name, file] : state_.files) sum += file.bytes.size();
  return sum;
}

Expected<void> SimDisk::append(const std::string& name, ByteSpan bytes) {
  SimDiskState::File& file = state_.files[name];
  if (fail_appends > 0) {
    --fail_appends;
    file.bytes += as_view(bytes.first(bytes.size() / 2));
    return fail(Errc::kIo, "append {}: simulated failure", name);
  }
  if (used() + bytes.size() > capacity) {
    return fail(Errc::kNoSpace, "append {}: No space left on device", name);
  }
  file.bytes += as_view(bytes);
  return {};
}

void SimDisk::sync(std::vector<std::string> names, Synced done) {
  Pending pending;
  for (const std::string& name : names)
    pending.upto.emplace_back(name, state_.files[name].bytes.size());
  pending.done = std::move(done);
  pending_.push_back(std::move(pending));
}

bool SimDisk::complete_sync() {
  if (pending_.empty()) return false;
  Pending pending = std::move(pending_.front());
  pending_.pop_front();
  if (fail_syncs > 0) {
    --fail_syncs;
    for (const auto& [name, size] : pending.upto) {
      if (failed_syncs_keep) break;
      const auto at = state_.files.find(name);
      if (at == state_.files.end()) continue;
      // The pages are gone, and the kernel will call the next sync a success.
      std::fill(at->second.bytes.begin() + static_cast<std::ptrdiff_t>(at->second.durable),
                at->second.bytes.end(), '\0');
    }
    pending.done(fail(Errc::kIo, "fdatasync: simulated failure"));
    return true;
  }
  for (const auto& [name, size] : pending.upto) {
    const auto at = state_.files.find(name);
    if (at == state_.files.end()) continue;
    at->second.durable = std::max(at->second.durable, size);
    at->second.created_durable = true;
  }
  pending.done({});
  return true;
}

Expected<Bytes> SimDisk::read(const std::string& name, std::uint64_t offset, std::size_t size) {
  const auto at = state_.files.find(name);
  if (at == state_.files.end()) return fail(Errc::kNotFound, "read {}: no such file", name);
  const Bytes& bytes = at->second.bytes;
  if (offset >= bytes.size()) return Bytes{};
  return bytes.substr(offset, size);
}

Expected<void> SimDisk::unlink(const std::string& name) {
  state_.files.erase(name);
  return {};
}

Expected<void> SimDisk::replace(const std::string& name, ByteSpan bytes) {
  SimDiskState::File& file = state_.files[name];
  file.bytes = Bytes{as_view(bytes)};
  file.durable = file.bytes.size();
  file.created_durable = true;
  return {};
}

Expected<void> SimDisk::quarantine(const std::string& name) {
  auto node = state_.files.extract(name);
  if (node.empty()) return {};
  node.key() = name + ".corrupt";
  state_.files.insert(std::move(node));
  return {};
}

std::uint64_t SimDisk::free_bytes() { return capacity - std::min(capacity, used()); }

}  // namespace tocsin::testing

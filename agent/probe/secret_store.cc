#include "agent/probe/secret_store.h"

#include "common/base/strings.h"

#include <utility>

namespace tocsin::agent {

SecretStore::SecretStore(const io::Secret& key)
    : box_(io::SecretBox::derived(key, "tocsin agent secrets v1")) {}

void SecretStore::seal(std::vector<AssignedSecret>& secrets) const {
  for (AssignedSecret& secret : secrets) {
    if (secret.value.empty()) continue;
    const io::Secret clear{std::exchange(secret.value, {})};
    secret.value = box_.seal(secret.name, clear);
  }
}

Expected<void> SecretStore::check(const std::vector<AssignedSecret>& secrets) const {
  for (const AssignedSecret& secret : secrets) {
    if (!secret.value.empty()) TRY(box_.open(secret.name, secret.value));
  }
  return {};
}

Expected<io::Secret> SecretStore::open(const std::string& name) const {
  const auto at = secrets_.find(name);
  if (at == secrets_.end() || at->second.value.empty()) {
    return fail(Errc::kNotFound, "secret {}: the collector has none of that name that it can open",
                printable(name, 100));
  }
  return box_.open(name, at->second.value);
}

}  // namespace tocsin::agent

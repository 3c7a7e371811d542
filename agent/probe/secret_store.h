#pragma once
// Question answered here: which secrets did the collector send, and what are they?
//
// They lie in memory and in the assignment's cache as this agent's own key has sealed them
// (DEC-12), and are opened for each attempt.

#include "common/io/secret_box.h"
#include "common/model/link.h"

#include <map>
#include <string>
#include <vector>

namespace tocsin::agent {

/// One thread: the loop's.
class SecretStore {
 public:
  /// `key`: the secret half of the agent's CURVE keys; another agent, or this one with a new key,
  /// opens nothing of what is kept.
  explicit SecretStore(const io::Secret& key);

  /// As the link brought them: each is sealed in place. An empty one stays empty.
  void seal(std::vector<AssignedSecret>& secrets) const;

  /// kCorrupt when one of them was not sealed with this key.
  Expected<void> check(const std::vector<AssignedSecret>& secrets) const;

  /// All that monitors of now may name, sealed.
  void replace(std::map<std::string, AssignedSecret> secrets) { secrets_ = std::move(secrets); }

  /// kNotFound: the collector has sent none of that name, or cannot open its own.
  Expected<io::Secret> open(const std::string& name) const;

 private:
  io::SecretBox box_;
  std::map<std::string, AssignedSecret> secrets_;
};

}  // namespace tocsin::agent

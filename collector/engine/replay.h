#pragma once
// Question answered here: how does what the store gives back become what Engine::restore wants?

#include "collector/ports/store.h"

#include <vector>

namespace tocsin::collector {

/// Decodes journalled frames into events. kCorrupt names the group and entry that cannot be read:
/// the journal holds what we accepted, so this is damage and not a peer's fault.
Expected<std::vector<ReplayGroup>> decode_journal(const std::vector<Store::RawGroup>& groups);

/// Whose keys may come in, from the rows of a snapshot: for the allow-list of a fresh process.
/// Revoked and used keys are listed too (admitted, then taken away), so that they are told from
/// strangers.
std::vector<Effect> keys_of(const Snapshot& snapshot);

}  // namespace tocsin::collector

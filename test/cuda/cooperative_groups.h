#pragma once

#include "cuda_runtime.h"

namespace cooperative_groups {

struct Cluster {
  unsigned num_blocks() const { return unsigned(emulation::cluster->blocks.size()); }
  unsigned block_rank() const { return unsigned(emulation::cluster->current->block); }
  template <typename T>
  T* map_shared_rank(T* here, unsigned rank) const {
    const auto place = reinterpret_cast<char*>(here) - emulation::block().shared.data();
    return reinterpret_cast<T*>(emulation::cluster->blocks[rank].shared.data() + place);
  }
};
inline Cluster this_cluster() { return {}; }

}  // namespace cooperative_groups

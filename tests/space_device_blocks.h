// Blocks in a first tier whose bytes a test reaches by SlotAccess only: GPU memory.
//
// Thread contract: one test, one thread, beside the space's own.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "space_fixture.h"

namespace kelvin::testing {

// Makes the chain there, and holds none of it.
inline void publish_on_device(Space& space, std::span<const BlockKey> chain) {
  auto fresh = space.allocate(static_cast<std::uint32_t>(chain.size()), kNear);
  ASSERT_TRUE(fresh.ok());
  SlotAccess& access = *space.tier_info(kNear)->access;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    ASSERT_TRUE(access.write(fresh->slot(i), pattern(content_of(chain[i]), kBlockBytes)).ok());
  }
  ASSERT_TRUE(space.publish(*fresh, chain, 0).ok());
  ASSERT_TRUE(fresh->release().ok());
}

inline ::testing::AssertionResult device_has(const Space& space, const Lease& lease,
                                             std::span<const BlockKey> chain) {
  std::vector<std::byte> block(kBlockBytes);
  for (std::size_t i = 0; i < lease.size(); ++i) {
    const Status status = space.tier_info(kNear)->access->read(lease.slot(i), block);
    if (!status.ok() || block != pattern(content_of(chain[i]), kBlockBytes))
      return ::testing::AssertionFailure() << "block " << i << " is wrong: " << status.message();
  }
  return ::testing::AssertionSuccess();
}

}  // namespace kelvin::testing

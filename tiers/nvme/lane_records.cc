// The records of copies: see lane.h.
#include <algorithm>
#include <cassert>
#include <cerrno>

#include "tiers/nvme/errors.h"
#include "tiers/nvme/lane.h"

namespace kelvin::nvme {

// The bytes are on the medium: says so in the table, and waits for its page.
void Lane::record(std::uint32_t id) noexcept {
  Operation& operation = operations_[id];
  assert(operation.summed);
  volume_.table()->put(operation.slot, operation.copy, operation.checksum);
  to_record_.push(id);
}

// While the drive has blocks in hand, there will be another moment to look.
bool Lane::pages_due() const noexcept {
  const bool busy = free_pieces_.size() != piece_count_;
  return !busy || !pages_again_.empty() || to_record_.size() >= std::max(1u, config_.depth / 4);
}

// Takes all operations whose record is on the page of the first one that nobody writes.
bool Lane::next_page(std::uint32_t* page_write) noexcept {
  if (!pages_again_.empty()) {
    *page_write = pages_again_.pop();
    return true;
  }
  if (free_page_writes_.empty()) return false;
  bool begun = false;
  // Once round: those of other pages, or of one that is being written, wait on in their order.
  for (std::size_t left = to_record_.size(); left > 0; --left) {
    const std::uint32_t id = to_record_.pop();
    const std::uint32_t page = SlotTable::page_of(operations_[id].slot);
    if (!begun && volume_.table()->begin_page(page, page_buffers_[free_page_writes_.front()].bytes)) {
      *page_write = free_page_writes_.pop();
      page_writes_[*page_write] = {.page = page};
      begun = true;
    }
    if (begun && page == page_writes_[*page_write].page) {
      operations_[id].page_write = *page_write;
    } else {
      to_record_.push(id);
    }
  }
  return begun;
}

IoRequest Lane::request_for_page(std::uint32_t page_write) noexcept {
  PageWrite& write = page_writes_[page_write];
  write.vector = {page_buffers_[page_write].bytes.data(), kPageBytes};
  return {.tag = piece_count_ + page_write,
          .write = true,
          .offset = kTableOffset + write.page * kPageBytes,
          .vectors = &write.vector,
          .vector_count = 1};
}

void Lane::page_written(std::uint32_t page_write, std::int32_t result) noexcept {
  const int error = result < 0 ? -result : 0;
  // A page is the unit of I/O: a shorter write is tried again from its start.
  const bool incomplete = error == EAGAIN || error == EINTR || (error == 0 && result != kPageBytes);
  if (incomplete && ++page_writes_[page_write].retries <= kMaxRetries) {
    pages_again_.push(page_write);
  } else if (error == 0 && !incomplete) {
    end_page_write(page_write, {});
  } else {
    end_page_write(page_write, failure(error, "writing a block's record to the drive"));
  }
}

void Lane::end_page_write(std::uint32_t page_write, const Status& status) noexcept {
  volume_.table()->end_page(page_writes_[page_write].page, status.ok());
  free_page_writes_.push(page_write);
  for (std::uint32_t id = 0; id < operations_.size(); ++id) {
    Operation& operation = operations_[id];
    if (operation.page_write != page_write) continue;
    operation.page_write = kNone;
    if (status.ok()) {
      finish(id);
    } else {
      unrecord(id, status);
    }
  }
}

// Nobody shall find what was not acknowledged.
void Lane::unrecord(std::uint32_t id, Status status) noexcept {
  volume_.table()->clear(operations_[id].slot);
  fail(operations_[id], status);
  finish(id);
}

}  // namespace kelvin::nvme

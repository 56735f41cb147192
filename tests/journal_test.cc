// Journal: everything comes out once and in its thread's order, and what does not fit is said.
#include "journal/journal.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "core_parts.h"

namespace kelvin {
namespace {

using testing::made;

// Number `n` of thread `writer`.
Event event_of(std::uint64_t writer, std::uint64_t n) {
  Event event;
  event.session = writer;
  event.time_ns = n;
  return event;
}

std::vector<Event> events_of(std::uint64_t writer, std::uint64_t first, std::size_t count) {
  std::vector<Event> events;
  for (std::size_t i = 0; i < count; ++i) events.push_back(event_of(writer, first + i));
  return events;
}

std::vector<Event> drained(Journal& journal) {
  std::vector<Event> all;
  journal.drain([&](std::span<const Event> events) { all.insert(all.end(), events.begin(), events.end()); });
  return all;
}

// Events until the calling thread's ring is full; returns how many fitted.
std::uint64_t fill(Journal& journal) {
  std::uint64_t taken = 0;
  for (std::size_t got = 1; got != 0; taken += got) got = journal.push(events_of(0, taken, 1000));
  return taken;
}

TEST(Journal, GivesBackWhatWentInInOrder) {
  auto journal = made(Journal::make());
  EXPECT_TRUE(journal->empty());
  EXPECT_EQ(journal->push({}), 0u);
  EXPECT_TRUE(drained(*journal).empty());
  std::uint64_t next = 0;
  for (const std::size_t batch : {1u, 2u, 63u, 256u, 257u, 1000u}) {
    EXPECT_EQ(journal->push(events_of(0, next, batch)), batch);
    next += batch;
    EXPECT_FALSE(journal->empty());
  }
  const std::vector<Event> events = drained(*journal);
  ASSERT_EQ(events.size(), next);
  for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i].time_ns, i);
  EXPECT_TRUE(journal->empty());
  EXPECT_TRUE(drained(*journal).empty());
}

TEST(Journal, KeepsEveryFieldOfAnEvent) {
  auto journal = made(Journal::make());
  const Event event{.kind = EventKind::kRelease,
                    .tier = TierIndex(3),
                    .finish = FinishReason::kToolUse,
                    .priority = 7,
                    .block = BlockId(12),
                    .time_ns = 13,
                    .session = 14,
                    .output_tokens = 15,
                    .retain_s = 16};
  ASSERT_EQ(journal->push({&event, 1}), 1u);
  const auto events = drained(*journal);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, event.kind);
  EXPECT_EQ(events[0].tier, event.tier);
  EXPECT_EQ(events[0].finish, event.finish);
  EXPECT_EQ(events[0].priority, event.priority);
  EXPECT_EQ(events[0].block, event.block);
  EXPECT_EQ(events[0].time_ns, event.time_ns);
  EXPECT_EQ(events[0].session, event.session);
  EXPECT_EQ(events[0].output_tokens, event.output_tokens);
  EXPECT_EQ(events[0].retain_s, event.retain_s);
}

TEST(Journal, AFullRingTakesWhatFitsAndSaysHowMuch) {
  auto journal = made(Journal::make());
  const std::uint64_t taken = fill(*journal);
  EXPECT_GE(taken, 1000u);
  EXPECT_EQ(journal->push(events_of(0, taken, 1)), 0u);
  const auto events = drained(*journal);
  ASSERT_EQ(events.size(), taken);
  for (std::size_t i = 0; i < events.size(); ++i) ASSERT_EQ(events[i].time_ns, i) << "a prefix was taken";
  EXPECT_EQ(fill(*journal), taken) << "there is as much room as before";
}

TEST(Journal, StaysRightWhenItsRingGoesRound) {
  auto journal = made(Journal::make());
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (std::size_t step = 0; step < 200; ++step) {
    in += journal->push(events_of(0, in, step * 37 % 1500));
    if (step % 3 == 0) continue;
    for (const Event& event : drained(*journal)) ASSERT_EQ(event.time_ns, out++);
  }
  for (const Event& event : drained(*journal)) ASSERT_EQ(event.time_ns, out++);
  EXPECT_EQ(out, in);
  EXPECT_GT(in, 50'000u);
}

TEST(Journal, PressesFromHalfFullOn) {
  auto journal = made(Journal::make());
  const std::uint64_t room = fill(*journal);
  EXPECT_TRUE(journal->pressing());
  drained(*journal);
  EXPECT_FALSE(journal->pressing());
  ASSERT_EQ(journal->push(events_of(0, 0, room / 2 - 1)), room / 2 - 1);
  EXPECT_FALSE(journal->pressing());
  ASSERT_EQ(journal->push(events_of(0, 0, 2)), 2u);
  EXPECT_TRUE(journal->pressing());
}

TEST(Journal, ADrainEndsThoughItsSinkPushesMore) {
  auto journal = made(Journal::make());
  journal->push(events_of(0, 0, 600));
  std::uint64_t seen = 0;
  std::uint64_t calls = 0;
  journal->drain([&](std::span<const Event> events) {
    seen += events.size();
    if (++calls < 1000) journal->push(events_of(0, 600, events.size()));
  });
  EXPECT_GE(seen, 600u) << "everything that was pushed before";
  EXPECT_LT(calls, 1000u) << "it runs after its own tail";
  EXPECT_EQ(seen + drained(*journal).size(), 1200u);
}

TEST(Journal, LosesNothingOfManyThreadsAndKeepsEachOnesOrder) {
  constexpr std::uint64_t kWriters = 12;  // more than there are rings
  constexpr std::uint64_t kEvents = 6000;
  auto journal = made(Journal::make());
  std::atomic<std::uint64_t> ended{0};
  std::vector<std::thread> writers;
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::uint64_t n = 0; n < kEvents;) {
        const std::size_t got = journal->push(events_of(writer, n, 1 + (n + writer) % 97));
        if (got == 0) std::this_thread::yield();
        n += got;
      }
      ++ended;
    });
  }
  std::array<std::uint64_t, kWriters> next{};
  int misplaced = 0;
  for (bool last = false; !last;) {
    last = ended == kWriters;
    journal->drain([&](std::span<const Event> events) {
      for (const Event& event : events) misplaced += event.time_ns != next[event.session]++ ? 1 : 0;
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(misplaced, 0);
  EXPECT_TRUE(journal->empty());
  for (std::uint64_t writer = 0; writer < kWriters; ++writer) EXPECT_GE(next[writer], kEvents);
}

}  // namespace
}  // namespace kelvin

// Ordered parallel work: results come out in the order of their index, whatever thread made them.
#pragma once
#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "base/error.h"

namespace ichigo {

// Calls produce(index, worker) for every index of [begin, end) on `threads` threads and consume(index, result) on the
// calling thread in order of the index. The first exception stops everything and is thrown again here.
// consume returns false to stop early. At most 4 results per thread wait to be consumed.
template <typename Result, typename Produce, typename Consume>
void parallel_ordered(int64_t begin, int64_t end, int threads, Produce produce, Consume consume) {
  std::mutex mutex;
  std::condition_variable ready, room;
  std::map<int64_t, Result> results;
  std::exception_ptr error;
  int64_t next = begin, consumed = begin;
  bool stop = false;
  const int64_t window = 4L * threads;
  auto work = [&](int worker) {
    for (;;) {
      int64_t index;
      {
        std::unique_lock lock(mutex);
        room.wait(lock, [&] { return stop || next >= end || next < consumed + window; });
        if (stop || next >= end) return;
        index = next++;
      }
      try {
        Result result = produce(index, worker);
        const std::lock_guard lock(mutex);
        results.emplace(index, std::move(result));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
        stop = true;
      }
      ready.notify_all();
      room.notify_all();
    }
  };
  std::vector<std::thread> workers;
  auto end_work = [&] {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    room.notify_all();
    for (auto& worker : workers) worker.join();
  };
  try {
    try {
      for (int worker = 0; worker < threads; ++worker) workers.emplace_back(work, worker);
    } catch (const std::system_error& failed) {
      fail("cannot start ", threads, " threads (", failed.what(), "): ask for fewer with --threads");
    }
    while (consumed < end) {
      std::unique_lock lock(mutex);
      ready.wait(lock, [&] { return stop || results.contains(consumed); });
      if (stop) break;
      auto node = results.extract(consumed);
      lock.unlock();
      const bool go_on = consume(consumed, std::move(node.mapped()));
      lock.lock();
      ++consumed;
      lock.unlock();
      room.notify_all();
      if (!go_on) break;
    }
  } catch (...) {
    end_work();
    throw;
  }
  end_work();
  if (error) std::rethrow_exception(error);
}

}  // namespace ichigo

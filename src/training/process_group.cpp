#include "training/process_group.h"

#include <ATen/ATen.h>
#include <c10/util/Logging.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#if defined(USE_C10D_NCCL) && __has_include(<nccl.h>)
#define ICHIGO_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include "base/error.h"
#include "base/random.h"

namespace ichigo {
namespace {

using std::chrono::milliseconds;

constexpr double kLongestJoin = 300;  // seconds

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

int64_t integer(const char* name, int64_t least, int64_t most) {
  const std::string text = variable(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(!text.empty() && error == std::errc() && end == text.data() + text.size() && least <= value && value <= most,
          "the environment's ", name, " must be a number from ", least, " to ", most, ", not \"", text, "\"");
  return value;
}

// Without the place in the library's source and without its backtrace.
std::string reason_of(const std::exception& error) {
  const auto* c10_error = dynamic_cast<const c10::Error*>(&error);
  std::string reason = c10_error != nullptr ? c10_error->what_without_backtrace() : error.what();
  reason = reason.substr(0, reason.find('\n'));
  if (reason.starts_with("[/") && reason.find("] ") != std::string::npos) reason.erase(0, reason.find("] ") + 2);
  while (!reason.empty() && (reason.back() == '.' || reason.back() == ' ')) reason.pop_back();
  return reason;
}

milliseconds in_milliseconds(double seconds) {
  return milliseconds(static_cast<int64_t>(seconds * 1000));
}

std::string list_of(const std::vector<int64_t>& ranks) {
  std::string list = ranks.size() == 1 ? "rank " : "ranks ";
  for (size_t i = 0; i < ranks.size(); ++i) list += concat(i > 0 ? ", " : "", ranks[i]);
  return list;
}

}  // namespace

ProcessGroupConfig ProcessGroupConfig::from_environment() {
  constexpr int64_t kMostRanks = 1 << 20;
  ProcessGroupConfig config;
  if (variable("WORLD_SIZE").empty()) {
    require(variable("RANK").empty(), "the environment has RANK but no WORLD_SIZE, the number of ranks");
    return config;
  }
  config.ranks = integer("WORLD_SIZE", 1, kMostRanks);
  if (config.ranks == 1 && variable("RANK").empty()) return config;
  config.rank = integer("RANK", 0, config.ranks - 1);
  if (!variable("LOCAL_RANK").empty()) config.local_rank = integer("LOCAL_RANK", 0, kMostRanks);
  if (!variable("ICHIGO_RANK_TIMEOUT").empty())
    config.timeout_seconds = static_cast<double>(integer("ICHIGO_RANK_TIMEOUT", 1, 1 << 20));
  if (config.ranks == 1) return config;
  config.master_address = variable("MASTER_ADDR");
  require(!config.master_address.empty(), "the environment has WORLD_SIZE=", config.ranks,
          " but no MASTER_ADDR, where rank 0 listens");
  config.master_port = integer("MASTER_PORT", 1, 65535);
  if (variable("TORCHELASTIC_USE_AGENT_STORE") == "True")
    config.launcher_prefix = "/worker/attempt_" + variable("TORCHELASTIC_RESTART_COUNT");
  return config;
}

struct ProcessGroup::Connection {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
  std::string who;  // "rank 1 of 4"

  // Runs a collective to its end.
  template <typename Start>
  void complete(Start start) {
    try {
      start()->wait();
    } catch (const std::exception& error) {
      fail(who, " lost another rank (", reason_of(error),
           "); start all of them again: they go on from the newest checkpoint");
    }
  }
};

ProcessGroup::ProcessGroup(const ProcessGroupConfig& config, c10::Device device) : config_(config), device_(device) {
  if (config.ranks > 1) join();
}

ProcessGroup::~ProcessGroup() = default;

void ProcessGroup::join() {
  connection_ = std::make_unique<Connection>();
  auto& [store, backend, who] = *connection_;
  who = concat("rank ", rank(), " of ", ranks());
  const std::string where = concat(config_.master_address, ":", config_.master_port);
  const double seconds = std::min(config_.timeout_seconds, kLongestJoin);
  FLAGS_caffe2_log_level = 3;  // c10d logs each attempt to connect; what matters is in the errors here

  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(config_.master_port);
  options.isServer = first() && config_.launcher_prefix.empty();
  options.waitWorkers = false;
  options.timeout = in_milliseconds(seconds);
  try {
    store = c10::make_intrusive<c10d::TCPStore>(config_.master_address, options);
  } catch (const std::exception& error) {
    if (options.isServer)
      fail(who, " cannot listen at ", where, ": is the port taken by another run? (", reason_of(error), ")");
    fail(who, " cannot reach rank 0 at ", where, ": is MASTER_ADDR right, and rank 0 running?");
  }
  store = c10::make_intrusive<c10d::PrefixStore>(config_.launcher_prefix + "/ichigo", store);

  const auto key = [](int64_t rank) { return concat("rank/", rank); };
  std::vector<std::string> keys;
  for (int64_t r = 0; r < ranks(); ++r) keys.push_back(key(r));
  std::vector<int64_t> missing;
  try {
    const std::string size = concat(ranks());
    const std::string others = store->compareSet("ranks", std::string(), size);
    require(others == size, who, ": WORLD_SIZE is ", size, " here but ", others, " on another rank");
    require(store->add(key(rank()), 1) == 1, who, ": another process has this RANK, too");
    try {
      store->wait(keys, in_milliseconds(seconds));
    } catch (const std::exception&) {
      for (int64_t r = 0; r < ranks(); ++r) {
        if (!store->check({key(r)})) missing.push_back(r);
      }
      require(!missing.empty(), who, " lost rank 0 while joining");
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(who, " lost rank 0 while joining (", reason_of(error), ")");
  }
  require(missing.empty(), who, ": ", list_of(missing), " did not join at ", where, " within ", seconds, " s");

  try {
    if (device_.is_cuda()) {
#if defined(ICHIGO_NCCL)
      auto nccl = c10d::ProcessGroupNCCL::Options::create();
      nccl->timeout = in_milliseconds(config_.timeout_seconds);
      backend =
          c10::make_intrusive<c10d::ProcessGroupNCCL>(store, static_cast<int>(rank()), static_cast<int>(ranks()), nccl);
#else
      fail("this program was built without NCCL: train on one GPU, or on processors");
#endif
    } else {
      auto gloo = c10d::ProcessGroupGloo::Options::create(in_milliseconds(config_.timeout_seconds));
      const std::string interface = variable("GLOO_SOCKET_IFNAME");
      gloo->devices.push_back(interface.empty() ? c10d::ProcessGroupGloo::createDefaultDevice()
                                                : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
      backend =
          c10::make_intrusive<c10d::ProcessGroupGloo>(store, static_cast<int>(rank()), static_cast<int>(ranks()), gloo);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(who, " cannot connect to the others (", reason_of(error), ")");
  }
}

at::Tensor ProcessGroup::all_gather(const at::Tensor& part) {
  if (!connection_) return part.unsqueeze(0);
  at::Tensor from = part.contiguous().view(at::kByte);
  at::Tensor parts = at::empty({ranks() * from.numel()}, from.options());
  connection_->complete([&] { return connection_->backend->_allgather_base(parts, from); });
  return parts.view(part.scalar_type()).view({ranks(), -1});
}

at::Tensor ProcessGroup::reduce_scatter(const at::Tensor& rows) {
  require(rows.dim() == 2 && rows.size(0) == ranks() && rows.scalar_type() == at::kFloat,
          "reduce_scatter takes a float32 row for each rank");
  if (!connection_) return rows[0];
  at::Tensor from = rows.contiguous().view({-1});
  at::Tensor sum = at::empty({rows.size(1)}, from.options());
  connection_->complete([&] { return connection_->backend->_reduce_scatter_base(sum, from); });
  return sum;
}

std::vector<double> ProcessGroup::sum(const std::vector<double>& values) {
  if (!connection_) return values;
  std::vector<at::Tensor> tensors = {at::tensor(values, at::kDouble).to(device_)};
  connection_->complete([&] { return connection_->backend->allreduce(tensors); });
  const at::Tensor sums = tensors[0].cpu();
  return {sums.const_data_ptr<double>(), sums.const_data_ptr<double>() + sums.numel()};
}

std::string ProcessGroup::text_of_first(const std::string& text) {
  if (!connection_) return text;
  const auto size = static_cast<int64_t>(sum(first() ? static_cast<double>(text.size()) : 0.0));
  at::Tensor bytes = at::zeros({size}, at::kByte);
  if (first()) std::memcpy(bytes.mutable_data_ptr(), text.data(), text.size());
  std::vector<at::Tensor> tensors = {bytes.to(device_)};
  if (size > 0) connection_->complete([&] { return connection_->backend->broadcast(tensors); });
  bytes = tensors[0].cpu();
  return {static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(size)};
}

void ProcessGroup::require_same(const std::string& what, const std::string& value) {
  const at::Tensor own = at::tensor({static_cast<int64_t>(stable_hash(value))}, at::kLong).to(device_);
  const at::Tensor all = all_gather(own).cpu();
  for (int64_t r = 1; r < ranks(); ++r) {
    require(all[r].equal(all[0]), "rank ", r, " has another ", what, " than rank 0: all ranks must train the same");
  }
}

}  // namespace ichigo

// The ranks (processes) that train one model together, and what they send each other: libtorch's own c10d, with Gloo
// between processors and NCCL between GPUs. Not here: what is divided among them (training/sharding).
#pragma once
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ichigo {

struct ProcessGroupConfig {
  int64_t rank = 0, ranks = 1;
  int64_t local_rank = 0;      // among the ranks of this machine: the number of its GPU
  std::string master_address;  // where rank 0 listens
  int64_t master_port = 0;
  double timeout_seconds = 1800;  // without an answer, after which another rank counts as lost
  // A prefix of all keys where the launcher keeps the store itself (torchrun); empty: rank 0 does.
  std::string launcher_prefix;

  // What torchrun and the usual Slurm wrappers set: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT, LOCAL_RANK; and
  // ICHIGO_RANK_TIMEOUT, in seconds. One rank where WORLD_SIZE is not set. Throws Error naming the variable.
  static ProcessGroupConfig from_environment();
};

// Every method is a collective: all ranks call the same ones in the same order. A rank that fails or ends makes the
// others throw Error at once, one that hangs after the timeout. A group of one sends nothing.
class ProcessGroup {
 public:
  // Waits until all ranks are there, for the timeout but no longer than five minutes (c10d tries twice as long to reach
  // rank 0). Throws Error when it cannot be reached, ranks are missing (naming them), or two processes have the same
  // rank. Tensors are on `device`.
  explicit ProcessGroup(const ProcessGroupConfig& config = {}, c10::Device device = c10::kCPU);
  ~ProcessGroup();
  ProcessGroup(const ProcessGroup&) = delete;
  ProcessGroup& operator=(const ProcessGroup&) = delete;

  int64_t rank() const { return config_.rank; }
  int64_t ranks() const { return config_.ranks; }
  bool first() const { return config_.rank == 0; }  // the rank that writes and reports

  // part [n] of any type, of the same n everywhere -> [ranks, n], the parts by rank.
  at::Tensor all_gather(const at::Tensor& part);
  // float32 [ranks, n] -> [n], this rank's row of the sum over all ranks.
  at::Tensor reduce_scatter(const at::Tensor& rows);
  // Sums over all ranks, bit by bit the same on each.
  std::vector<double> sum(const std::vector<double>& values);
  double sum(double value) { return sum(std::vector<double>{value})[0]; }
  // Rank 0's text.
  std::string text_of_first(const std::string& text);
  // Throws Error on every rank unless all have the same value; `what` names it in the message.
  void require_same(const std::string& what, const std::string& value);
  void barrier() { sum(0.0); }

 private:
  struct Connection;
  void join();
  ProcessGroupConfig config_;
  c10::Device device_;
  std::unique_ptr<Connection> connection_;  // none in a group of one
};

}  // namespace ichigo

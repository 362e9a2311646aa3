#include "evaluation/throughput.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/machine.h"
#include "base/stopwatch.h"

namespace ichigo {
namespace {

// Weights that exist only row by row: whole numbers hashed from their place, of about a trained matrix's spread.
class RandomWeights : public WeightFile {
 public:
  explicit RandomWeights(const LlamaConfig& config) {
    const Llama shapes(config, at::TensorOptions().device(at::kMeta));
    for (const auto& [name, parameter] : shapes.hugging_face_parameters()) {
      tensors_[name] = {"F32", parameter.sizes().vec()};
    }
  }
  const std::filesystem::path& path() const override { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor load(const std::string& name) const override { return at::ones(tensors_.at(name).shape); }
  MatrixRows matrix_rows(const std::string& name) const override {
    const auto& shape = tensors_.at(name).shape;
    const int64_t columns = shape[1];
    return {shape[0], columns, [columns](int64_t row, float* out) {
              auto state = static_cast<uint32_t>(row) * 2654435761U + 1;
              for (int64_t k = 0; k < columns; ++k) {
                state = state * 1664525U + 1013904223U;
                out[k] = static_cast<float>(static_cast<int32_t>(state)) * (0.05F / 2147483648.0F);
              }
            }};
  }

 private:
  std::filesystem::path path_ = "random weights";
  std::map<std::string, TensorInfo> tensors_;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

}  // namespace

std::unique_ptr<PackedLlama> random_llama(const LlamaConfig& config, const PackedTypes& types) {
  const auto bytes = [](int64_t parameters, std::optional<MatrixType> type) {
    const auto panel = static_cast<double>(kernels::panel_bytes(type.value_or(MatrixType::kBFloat16), 32));
    return static_cast<int64_t>(static_cast<double>(parameters) * panel / (32 * kernels::kPanelRows));
  };
  const int64_t rows = config.vocab_size * config.hidden_size * (config.tie_word_embeddings ? 1 : 2);
  const int64_t needed = bytes(config.parameters() - rows, types.matrices) + bytes(rows, types.embedding);
  const int64_t available = available_memory();
  require(available == 0 || needed < available, "a model of ", config.parameters() / 1000000, " million parameters in ",
          name_of(types.matrices.value_or(MatrixType::kBFloat16)), " needs ", needed >> 20, " MiB, but ",
          available >> 20, " MiB are free: take a smaller shape or fewer bits");
  return std::make_unique<PackedLlama>(config, RandomWeights(config), types);
}

void ThroughputConfig::validate() const {
  require(prompt_tokens > 0 && answer_tokens > 0 && repeats > 0,
          "a measurement needs at least one token of prompt and answer, and one repeat");
}

Throughput measure_throughput(PackedLlama& model, const LlamaConfig& config, const ThroughputConfig& settings) {
  settings.validate();
  const at::Tensor prompt = at::arange(settings.prompt_tokens, at::kLong).remainder(config.vocab_size);
  const at::Tensor token = prompt.slice(0, 0, 1);
  const auto weights = static_cast<double>(model.weight_bytes());
  const auto within_layers = static_cast<double>(config.parameters() - config.vocab_size * config.hidden_size *
                                                                           (config.tie_word_embeddings ? 1 : 2));
  std::vector<double> prefill, decode, peak, bandwidth, share_of_peak, share_of_bandwidth;
  for (int64_t repeat = -1; repeat < settings.repeats; ++repeat) {  // the first is to warm up
    KeyValueCache read, written;
    Stopwatch watch;
    model.logits(model.forward(prompt, read).slice(0, -1));
    const double reading = watch.lap() / 1000;
    for (int64_t i = 0; i < settings.answer_tokens; ++i) model.logits(model.forward(token, written));
    const double writing = watch.lap() / 1000;
    if (repeat < 0) continue;
    prefill.push_back(static_cast<double>(settings.prompt_tokens) / reading);
    decode.push_back(static_cast<double>(settings.answer_tokens) / writing);
    peak.push_back(measure_matrix_peak());
    bandwidth.push_back(measure_memory_bandwidth(model.weight_bytes()));
    share_of_peak.push_back(prefill.back() * 2 * within_layers / (peak.back() * 1e9));
    share_of_bandwidth.push_back(decode.back() * weights / (bandwidth.back() * 1e9));
  }
  return {median(prefill),     median(decode),        median(peak),
          median(bandwidth),   median(share_of_peak), median(share_of_bandwidth),
          model.weight_bytes()};
}

}  // namespace ichigo

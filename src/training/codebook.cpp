#include "training/codebook.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace ichigo {
namespace {

at::Tensor unit_rows(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, true).clamp_min(1e-12);
}

// Adds each vector to the row of its code; counts how often each code occurs. In order, so the sum is reproducible.
void add_by_code(const at::Tensor& vectors, const at::Tensor& codes, at::Tensor& sums, at::Tensor& counts) {
  const int64_t dim = vectors.size(1);
  const float* from = vectors.const_data_ptr<float>();
  const int64_t* code = codes.const_data_ptr<int64_t>();
  float* sum = sums.mutable_data_ptr<float>();
  float* count = counts.mutable_data_ptr<float>();
  for (int64_t i = 0; i < vectors.size(0); ++i) {
    float* row = sum + code[i] * dim;
    for (int64_t d = 0; d < dim; ++d) row[d] += from[i * dim + d];
    ++count[code[i]];
  }
}

}  // namespace

double perplexity_of(const at::Tensor& counts) {
  const auto shares = counts.to(at::kDouble) / counts.sum().to(at::kDouble).clamp_min(1e-12);
  return std::exp(-at::xlogy(shares, shares).sum().item<double>());
}

void CodebookConfig::validate() const {
  require(decay > 0 && decay < 1, "the codebook's decay must be between 0 and 1, not ", decay);
  require(dead_share >= 0 && dead_share < start_share && start_share <= 1,
          "shares of dead and revived codes must be 0 <= dead_share < start_share <= 1, not ", dead_share, " and ",
          start_share);
  require(kmeans_iterations > 0, "k-means needs at least one iteration");
}

Codebook::Codebook(at::Tensor vectors, const CodebookConfig& config) : vectors_(std::move(vectors)), config_(config) {
  config.validate();
  shares_ = at::zeros({vectors_.size(0)});
  sums_ = at::zeros(vectors_.sizes());
}

void Codebook::start(const at::Tensor& vectors, Random random) {
  const at::NoGradGuard no_gradient;
  const int64_t codes = vectors_.size(0), count = vectors.size(0);
  require(count >= codes, "k-means of ", codes, " codes needs at least as many vectors, not ", count,
          "; train on more speech or with fewer codes");
  const auto points = vectors.contiguous();
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  for (int64_t code = 0; code < codes; ++code) vectors_[code].copy_(points[order[code]]);
  auto sums = at::zeros_like(sums_), counts = at::zeros_like(shares_);
  for (int iteration = 0; iteration < config_.kmeans_iterations; ++iteration) {
    sums.zero_();
    counts.zero_();
    add_by_code(points, assign(points), sums, counts);
    const float* used = counts.const_data_ptr<float>();
    for (int64_t code = 0; code < codes; ++code) {
      if (used[code] == 0) sums[code].copy_(points[static_cast<int64_t>(random.below(count))]);
    }
    vectors_.copy_(unit_rows(sums));
  }
  sums.zero_();
  counts.zero_();
  add_by_code(points, assign(points), sums, counts);
  shares_.copy_(counts / static_cast<double>(count));
  sums_.copy_(vectors_ * shares_.unsqueeze(1));
  started_ = true;
}

at::Tensor Codebook::assign(const at::Tensor& vectors) const {
  const at::NoGradGuard no_gradient;
  return at::argmax(at::mm(vectors, vectors_.t()), 1);
}

int64_t Codebook::update(const at::Tensor& vectors, const at::Tensor& codes, Random random) {
  const at::NoGradGuard no_gradient;
  const auto points = vectors.contiguous();
  const int64_t count = points.size(0);
  if (count == 0) return 0;
  auto sums = at::zeros_like(sums_), counts = at::zeros_like(shares_);
  add_by_code(points, codes.contiguous(), sums, counts);
  const double gain = (1 - config_.decay) / static_cast<double>(count);
  shares_.mul_(config_.decay).add_(counts, gain);
  sums_.mul_(config_.decay).add_(sums, gain);
  vectors_.copy_(unit_rows(sums_));

  const double uniform = 1.0 / static_cast<double>(vectors_.size(0));
  float* share = shares_.mutable_data_ptr<float>();
  int64_t revived = 0;
  for (int64_t code = 0; code < vectors_.size(0); ++code) {
    if (share[code] >= config_.dead_share * uniform) continue;
    const auto point = points[static_cast<int64_t>(random.below(count))];
    share[code] = static_cast<float>(config_.start_share * uniform);
    vectors_[code].copy_(point);
    sums_[code].copy_(point * share[code]);
    ++revived;
  }
  return revived;
}

double Codebook::perplexity() const {
  return started_ ? perplexity_of(shares_) : 0;
}

std::map<std::string, at::Tensor> Codebook::state() const {
  return {{"codebook.vectors", vectors_},
          {"codebook.shares", shares_},
          {"codebook.sums", sums_},
          {"codebook.started", at::full({1}, started_ ? 1 : 0, at::kLong)}};
}

void Codebook::load_state(const std::map<std::string, at::Tensor>& state) {
  auto find = [&](const char* name, const at::Tensor& like) {
    const auto found = state.find(name);
    require(found != state.end() && found->second.sizes() == like.sizes() &&
                found->second.scalar_type() == like.scalar_type(),
            "the codebook's state has no \"", name, "\" of the right shape");
    return found->second;
  };
  vectors_.copy_(find("codebook.vectors", vectors_));
  shares_.copy_(find("codebook.shares", shares_));
  sums_.copy_(find("codebook.sums", sums_));
  started_ = find("codebook.started", at::empty({1}, at::kLong)).item<int64_t>() != 0;
}

}  // namespace ichigo

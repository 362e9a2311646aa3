// WhisperVQ's bottleneck (WhisperSpeech vq_stoks.py, RQBottleneckTransformer): pooling, residual MLP, cosine-similarity
// quantiser, and the way back to features for Whisper's decoder. Not here: its losses, which belong to training.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <numbers>

#include "base/error.h"
#include "models/sound_tokenizer.h"
#include "models/whisper_layers.h"

namespace ichigo {

using whisper::Linear;

namespace {

constexpr int64_t kPositions = 1500;

// cos and sin [frames, 1, head_width], base 10000, the two halves of a head rotated against each other.
std::pair<at::Tensor, at::Tensor> rotary_table(int64_t frames, int64_t head_width) {
  const at::Tensor exponents = at::arange(0, head_width, 2, at::kFloat) / static_cast<double>(head_width);
  const at::Tensor rates = at::pow(10000.0, exponents).reciprocal();
  const at::Tensor angles = at::arange(frames, at::kFloat).unsqueeze(1) * rates.unsqueeze(0);
  const at::Tensor both = at::cat({angles, angles}, 1);
  return {both.cos(), both.sin()};
}

// x [batch, heads, frames, head_width]
at::Tensor rotate(const at::Tensor& x, const std::pair<at::Tensor, at::Tensor>& table) {
  const auto halves = x.chunk(2, -1);
  const at::Tensor turned = at::cat({-halves[1], halves[0]}, -1);
  return x * table.first.to(x.scalar_type()) + turned * table.second.to(x.scalar_type());
}

struct Codebook : torch::nn::Module {
  Codebook(int64_t rows, int64_t dim) : embed(register_buffer("embed", at::zeros({rows, dim}))) {}
  at::Tensor& embed;  // the module's own handle
};

// Gives the codebook its published name rq.layers.0._codebook.embed.
struct Quantizer : torch::nn::Module {
  explicit Quantizer(const SoundTokenizerConfig& config)
      : project_in(register_module("project_in", std::make_shared<Linear>(config.width, config.codebook_dim))),
        project_out(register_module("project_out", std::make_shared<Linear>(config.codebook_dim, config.width))),
        codebook(std::make_shared<Codebook>(config.codebook_rows, config.codebook_dim)) {
    struct Empty : torch::nn::Module {};
    auto layers = register_module("layers", std::make_shared<Empty>());
    layers->register_module("0", std::make_shared<Empty>())->register_module("_codebook", codebook);
  }
  std::shared_ptr<Linear> project_in, project_out;
  std::shared_ptr<Codebook> codebook;
};

// Truncated at 3 standard deviations, by inverting the normal distribution.
void fill_truncated_normal(at::Tensor& tensor, double deviation, at::Generator& generator) {
  const double edge = std::erf(3.0 / std::numbers::sqrt2);
  tensor.copy_(at::empty_like(tensor).uniform_(-edge, edge, generator).erfinv_().mul_(deviation * std::numbers::sqrt2));
}

}  // namespace

struct Bottleneck::Impl {
  std::shared_ptr<whisper::LayerNorm> mlp_ln, ln_post;
  std::shared_ptr<whisper::Mlp> mlp;
  std::shared_ptr<whisper::Conv1d> downsample_conv;
  std::shared_ptr<Quantizer> rq;
  std::shared_ptr<whisper::Embedding> positional_embedding;
  std::shared_ptr<whisper::List<whisper::Block>> out_blocks;
};

Bottleneck::Bottleneck(const SoundTokenizerConfig& config) : config_(config), impl_(std::make_shared<Impl>()) {
  config.validate();
  const int64_t width = config.width, hidden = width * config.ffn_mult;
  impl_->mlp_ln = register_module("mlp_ln", std::make_shared<whisper::LayerNorm>(width));
  impl_->mlp = register_module("mlp", std::make_shared<whisper::Mlp>(width, hidden));
  if (config.downsample_conv) {
    impl_->downsample_conv =
        register_module("downsample_conv", std::make_shared<whisper::Conv1d>(width, width, config.downsample));
  }
  impl_->rq = register_module("rq", std::make_shared<Quantizer>(config));
  if (config.depth == 0) return;
  impl_->positional_embedding =
      register_module("positional_embedding", std::make_shared<whisper::Embedding>(kPositions, width));
  impl_->out_blocks = register_module("_out_blocks", std::make_shared<whisper::List<whisper::Block>>());
  for (int64_t i = 0; i < config.depth; ++i) {
    impl_->out_blocks->add(std::make_shared<whisper::Block>(width, config.n_head, hidden, false));
  }
  impl_->ln_post = register_module("ln_post", std::make_shared<whisper::LayerNorm>(width));
}

void Bottleneck::initialize(uint64_t seed) {
  const at::NoGradGuard no_grad;
  at::Generator generator = at::detail::createCPUGenerator(seed);
  auto fill_linear = [&](Linear& linear) {
    const double deviation = 1.5 / static_cast<double>(linear.weight.size(1));
    fill_truncated_normal(linear.weight, deviation, generator);
    if (linear.bias.defined()) fill_truncated_normal(linear.bias, deviation, generator);
  };
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* linear = dynamic_cast<Linear*>(module.get())) fill_linear(*linear);
    if (auto* embedding = dynamic_cast<whisper::Embedding*>(module.get())) {
      fill_truncated_normal(embedding->weight, 0.045, generator);
    }
    if (auto* attention = dynamic_cast<whisper::Attention*>(module.get())) attention->query->weight.zero_();
    if (auto* conv = dynamic_cast<whisper::Conv1d*>(module.get())) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(conv->weight.size(1) * conv->weight.size(2)));
      conv->weight.uniform_(-bound, bound, generator);
      conv->bias.uniform_(-bound, bound, generator);
    }
  }
  at::Tensor& codes = codebook();
  codes.normal_(0, 1, generator);
  codes.div_(codes.norm(2, -1, true));
}

at::Tensor& Bottleneck::codebook() {
  return impl_->rq->codebook->embed;
}

at::Tensor Bottleneck::pool(const at::Tensor& features) {
  const int64_t step = config_.downsample;
  require(features.dim() == 3 && features.size(2) == config_.width, "bottleneck: features have shape ",
          features.sizes(), ", expected [batch, frames, ", config_.width, "]");
  at::Tensor x;
  if (config_.downsample_conv) {
    x = features.slice(1, 0, std::nullopt, step) +
        impl_->downsample_conv->forward(features.transpose(1, 2)).transpose(1, 2);
  } else if (config_.downsample_mean) {
    const int64_t time = features.size(1) / step;
    x = features.narrow(1, 0, time * step).reshape({features.size(0), time, step, config_.width}).mean(2);
  } else {
    x = features.slice(1, 0, std::nullopt, step);
  }
  return transform(x);
}

at::Tensor Bottleneck::transform(const at::Tensor& pooled) {
  return pooled + impl_->mlp->forward(impl_->mlp_ln->forward(pooled));
}

at::Tensor Bottleneck::project(const at::Tensor& transformed) {
  const at::Tensor x = impl_->rq->project_in->forward(transformed.to(at::kFloat));
  return x / x.norm(2, -1, true).clamp_min(1e-12);
}

at::Tensor Bottleneck::quantize(const at::Tensor& projected) {
  const at::NoGradGuard no_grad;
  return at::linear(projected, codebook()).argmax(-1);
}

at::Tensor Bottleneck::embed(const at::Tensor& codes) {
  return impl_->rq->project_out->forward(at::embedding(codebook(), codes));
}

at::Tensor Bottleneck::output(const at::Tensor& embedded) {
  require(config_.depth > 0,
          "this sound tokenizer was stored without its output blocks: it can hear, but its codes "
          "cannot be read by Whisper's decoder");
  const int64_t frames = embedded.size(1);
  require(frames <= kPositions, "bottleneck: ", frames, " frames, expected at most ", kPositions);
  const at::Tensor positions = impl_->positional_embedding->weight;
  at::Tensor x = embedded.to(positions.scalar_type()) + positions.narrow(0, 0, frames);
  const auto table = rotary_table(config_.rope ? frames : 0, config_.head_width);
  const double scale = config_.query_mult * 8 / static_cast<double>(config_.head_width);
  for (const auto& block : impl_->out_blocks->items) {
    const auto& attn = *block->attn;
    const at::Tensor h = block->attn_ln->forward(x);
    at::Tensor q = attn.split(attn.query->forward(h)), k = attn.split(attn.key->forward(h));
    if (config_.rope) q = rotate(q, table), k = rotate(k, table);
    x = x + attn.attend(q, k, attn.split(attn.value->forward(h)), false, {}, scale);
    x = block->add_mlp(x);
  }
  return impl_->ln_post->forward(x);
}

at::Tensor Bottleneck::dequantize(const at::Tensor& codes) {
  require(codes.dim() == 1, "dequantize: codes have shape ", codes.sizes(), ", expected [time]");
  const int64_t length = kPositions / config_.downsample;
  at::Tensor kept = codes.to(at::kLong);
  if (config_.mask_code == config_.codes) {
    // As published: the first mask code ends the clip, unless the only one is the very first code.
    const at::Tensor masks = at::nonzero(kept == config_.mask_code).view(-1);
    if (masks.any().item<bool>()) kept = kept.narrow(0, 0, masks[0].item<int64_t>());
  }
  require(kept.numel() <= length, "dequantize: ", kept.numel(), " codes, expected at most ", length);
  if (kept.numel() > 0) {
    require(kept.min().item<int64_t>() >= 0 && kept.max().item<int64_t>() < config_.codebook_rows,
            "dequantize: a code outside 0 to ", config_.codebook_rows - 1);
  }
  kept = at::constant_pad_nd(kept, {0, length - kept.numel()}, config_.mask_embs ? config_.mask_code : 0);
  return output(embed(kept.unsqueeze(0)).repeat_interleave(config_.downsample, 1));
}

}  // namespace ichigo

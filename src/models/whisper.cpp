// Whisper's encoder and decoder (Radford et al. 2022, arXiv 2212.04356; openai-whisper model.py).
#include "models/whisper.h"

#include <ATen/ATen.h>

#include "base/error.h"
#include "models/whisper_layers.h"

namespace ichigo {

using whisper::Block;
using whisper::List;

namespace {

// [1, 1, time, offset + time]: position i sees everything up to offset + i.
at::Tensor causal_mask(int64_t time, int64_t offset) {
  return at::ones({1, 1, time, offset + time}, at::kBool).tril(offset);
}

// How a clip is laid out for block-causal attention: the blocks stand one behind another, each with the frames of its
// look-ahead, so that those occur twice. Plain attention with a mask then is what forward_block computes.
struct BlockLayout {
  at::Tensor frames;  // int64 [length]: which frame stands there
  at::Tensor own;     // int64 [clip]: where each of the clip's frames stands in its own block
  at::Tensor mask;    // bool [1, 1, length, length]: what each place sees

  BlockLayout(const EncoderBlocks& blocks, int64_t clip) {
    std::vector<int64_t> frame_at, own_at, block_at;
    std::vector<uint8_t> is_own;
    for (int64_t begin = 0; begin < clip; begin += blocks.frames) {
      for (int64_t frame = begin; frame < std::min(clip, begin + blocks.frames + blocks.look_ahead); ++frame) {
        is_own.push_back(frame < begin + blocks.frames);
        if (is_own.back()) own_at.push_back(static_cast<int64_t>(frame_at.size()));
        frame_at.push_back(frame);
        block_at.push_back(begin / blocks.frames);
      }
    }
    frames = at::tensor(frame_at);
    own = at::tensor(own_at);
    const at::Tensor block = at::tensor(block_at), distance = block.unsqueeze(1) - block.unsqueeze(0);
    const at::Tensor before = (distance > 0).logical_and(distance <= blocks.context);
    mask = (distance == 0).logical_or(before.logical_and(at::tensor(is_own).to(at::kBool))).unsqueeze(0).unsqueeze(0);
  }
};

}  // namespace

EncoderCache::EncoderCache(const EncoderCache& other) : length(other.length) {
  const auto copy = [&](const std::vector<at::Tensor>& from, std::vector<at::Tensor>& to) {
    for (const at::Tensor& tensor : from) {
      to.push_back(at::empty_like(tensor));
      to.back().narrow(2, 0, length).copy_(tensor.narrow(2, 0, length));
    }
  };
  copy(other.keys, keys);
  copy(other.values, values);
}

EncoderCache& EncoderCache::operator=(EncoderCache other) {
  std::swap(keys, other.keys);
  std::swap(values, other.values);
  std::swap(length, other.length);
  return *this;
}

void WhisperConfig::validate() const {
  auto between = [](int64_t value, int64_t low, int64_t high, const char* name) {
    require(value >= low && value <= high, "Whisper configuration: ", name, " is ", value, ", expected ", low, " to ",
            high);
  };
  between(n_mels, 1, 1024, "n_mels");
  between(n_vocab, 1, 1 << 20, "n_vocab");
  between(n_audio_ctx, 1, 1 << 16, "n_audio_ctx");
  between(n_text_ctx, 1, 1 << 16, "n_text_ctx");
  between(n_audio_layer, 1, 256, "n_audio_layer");
  between(n_text_layer, 0, 256, "n_text_layer");
  between(n_audio_state, 4, 1 << 14, "n_audio_state");
  between(n_text_state, 4, 1 << 14, "n_text_state");
  between(n_audio_head, 1, n_audio_state, "n_audio_head");
  between(n_text_head, 1, n_text_state, "n_text_head");
  between(blocks.frames, 0, n_audio_ctx, "blocks.frames");
  between(blocks.look_ahead, 0, n_audio_ctx - blocks.frames, "blocks.look_ahead");
  between(blocks.context, 0, n_audio_ctx, "blocks.context");
  require(n_audio_state % 2 == 0, "Whisper configuration: n_audio_state ", n_audio_state, " must be even");
  require(n_audio_state % n_audio_head == 0 && n_text_state % n_text_head == 0, "Whisper configuration: state widths ",
          n_audio_state, " and ", n_text_state, " must be multiples of the head counts ", n_audio_head, " and ",
          n_text_head);
}

struct WhisperEncoder::Impl {
  std::shared_ptr<whisper::Conv1d> conv1, conv2;
  std::shared_ptr<List<Block>> blocks;
  std::shared_ptr<whisper::LayerNorm> ln_post;
  at::Tensor positions;  // float32 [n_audio_ctx, n_audio_state]
};

WhisperEncoder::WhisperEncoder(const WhisperConfig& config) : config_(config), impl_(std::make_shared<Impl>()) {
  config.validate();
  const int64_t state = config.n_audio_state;
  impl_->conv1 = register_module("conv1", std::make_shared<whisper::Conv1d>(config.n_mels, state, 1));
  impl_->conv2 = register_module("conv2", std::make_shared<whisper::Conv1d>(state, state, 2));
  impl_->positions = register_buffer("positional_embedding", whisper::sinusoids(config.n_audio_ctx, state));
  impl_->blocks = register_module("blocks", std::make_shared<List<Block>>());
  for (int64_t i = 0; i < config.n_audio_layer; ++i) {
    impl_->blocks->add(std::make_shared<Block>(state, config.n_audio_head, 4 * state, false));
  }
  impl_->ln_post = register_module("ln_post", std::make_shared<whisper::LayerNorm>(state));
}

void WhisperEncoder::hear_in_blocks(const EncoderBlocks& blocks) {
  WhisperConfig config = config_;
  config.blocks = blocks;
  config.validate();
  config_ = config;
}

at::Tensor WhisperEncoder::convolve(const at::Tensor& mel) {
  const at::Tensor x = at::gelu(impl_->conv1->forward(mel.to(impl_->conv1->weight.scalar_type())));
  return at::gelu(impl_->conv2->forward(x)).transpose(1, 2);
}

at::Tensor WhisperEncoder::forward(const at::Tensor& mel, int64_t position) {
  require(mel.dim() == 3 && mel.size(1) == config_.n_mels, "Whisper encoder: log-mel has shape ", mel.sizes(),
          ", expected [batch, ", config_.n_mels, ", frames]");
  const int64_t frames = mel.size(2);
  require(frames > 0 && frames % 2 == 0 && 2 * position + frames <= 2 * config_.n_audio_ctx, "Whisper encoder: ",
          frames, " mel frames, expected an even number up to ", 2 * (config_.n_audio_ctx - position));
  at::Tensor x = convolve(mel);
  x = (x + impl_->positions.narrow(0, position, frames / 2)).to(x.scalar_type());
  std::optional<BlockLayout> layout;
  std::optional<at::Tensor> mask;
  if (config_.blocks.any()) {
    layout.emplace(config_.blocks, frames / 2);
    mask = layout->mask;
    x = x.index_select(1, layout->frames);
  }
  for (const auto& block : impl_->blocks->items) {
    const auto& attn = *block->attn;
    const at::Tensor h = block->attn_ln->forward(x);
    x = x + attn.attend(attn.split(attn.query->forward(h)), attn.split(attn.key->forward(h)),
                        attn.split(attn.value->forward(h)), /*causal=*/false, mask);
    x = block->add_mlp(x);
  }
  return impl_->ln_post->forward(layout ? x.index_select(1, layout->own) : x);
}

at::Tensor WhisperEncoder::forward_block(const at::Tensor& convolved, EncoderCache& cache) {
  const auto& [own, look_ahead, context] = config_.blocks;
  const int64_t count = convolved.size(1), kept = std::min(count, own);
  require(count > 0 && count <= own + look_ahead, "Whisper encoder: a block of ", count, " frames, expected 1 to ",
          own + look_ahead);
  require(cache.length + count <= config_.n_audio_ctx, "Whisper encoder: the block ends at position ",
          cache.length + count, " of ", config_.n_audio_ctx);
  if (cache.keys.empty()) {
    const int64_t heads = config_.n_audio_head;
    for (int64_t i = 0; i < config_.n_audio_layer; ++i) {
      for (auto* tensors : {&cache.keys, &cache.values}) {
        tensors->push_back(
            at::empty({1, heads, config_.n_audio_ctx, config_.n_audio_state / heads}, convolved.options()));
      }
    }
  }
  at::Tensor x = (convolved + impl_->positions.narrow(0, cache.length, count)).to(convolved.scalar_type());
  const int64_t seen = std::min(cache.length, context * own);
  for (size_t i = 0; i < cache.keys.size(); ++i) {
    const Block& block = *impl_->blocks->items[i];
    const auto& attn = *block.attn;
    at::Tensor h = block.attn_ln->forward(x);
    const auto extend = [&](at::Tensor& stored, const at::Tensor& added) {
      stored.narrow(2, cache.length, count).copy_(attn.split(added));
      return stored.narrow(2, cache.length - seen, seen + count);
    };
    const at::Tensor k = extend(cache.keys[i], attn.key->forward(h));
    const at::Tensor v = extend(cache.values[i], attn.value->forward(h));
    if (i + 1 == cache.keys.size()) {  // nobody asks what becomes of the look-ahead
      x = x.narrow(1, 0, kept);
      h = h.narrow(1, 0, kept);
    }
    x = x + attn.attend(attn.split(attn.query->forward(h)), k, v);
    x = block.add_mlp(x);
  }
  cache.length += kept;
  return impl_->ln_post->forward(x);
}

struct WhisperDecoder::Impl {
  std::shared_ptr<whisper::Embedding> token_embedding;
  at::Tensor positions;  // [n_text_ctx, n_text_state]
  std::shared_ptr<List<Block>> blocks;
  std::shared_ptr<whisper::LayerNorm> ln;
};

WhisperDecoder::WhisperDecoder(const WhisperConfig& config) : config_(config), impl_(std::make_shared<Impl>()) {
  config.validate();
  const int64_t state = config.n_text_state;
  impl_->token_embedding =
      register_module("token_embedding", std::make_shared<whisper::Embedding>(config.n_vocab, state));
  impl_->positions = register_parameter("positional_embedding", at::empty({config.n_text_ctx, state}));
  impl_->blocks = register_module("blocks", std::make_shared<List<Block>>());
  for (int64_t i = 0; i < config.n_text_layer; ++i) {
    impl_->blocks->add(std::make_shared<Block>(state, config.n_text_head, 4 * state, true));
  }
  impl_->ln = register_module("ln", std::make_shared<whisper::LayerNorm>(state));
}

at::Tensor WhisperDecoder::forward(const at::Tensor& tokens, const at::Tensor& features, WhisperCache* cache) {
  return logits(hidden(tokens, features, cache));
}

at::Tensor WhisperDecoder::logits(const at::Tensor& hidden) {
  return at::linear(hidden, impl_->token_embedding->weight).to(at::kFloat);
}

at::Tensor WhisperDecoder::hidden(const at::Tensor& tokens, const at::Tensor& features, WhisperCache* cache) {
  const int64_t offset = cache ? cache->length : 0;
  const int64_t time = tokens.size(1);
  require(time > 0 && offset + time <= config_.n_text_ctx, "Whisper decoder: ", offset + time,
          " tokens, expected 1 to ", config_.n_text_ctx);
  require(features.dim() == 3 && features.size(2) == config_.n_text_state, "Whisper decoder: features have shape ",
          features.sizes(), ", expected [batch, frames, ", config_.n_text_state, "]");
  const at::Tensor& embedding = impl_->token_embedding->weight;
  at::Tensor x = at::embedding(embedding, tokens) + impl_->positions.narrow(0, offset, time);
  const at::Tensor audio = features.to(embedding.scalar_type());
  const size_t layers = impl_->blocks->items.size();
  if (cache && cache->cross_keys.empty()) {
    for (const auto& block : impl_->blocks->items) {
      const auto& cross = *block->cross_attn;
      cache->cross_keys.push_back(cross.split(cross.key->forward(audio)).contiguous());
      cache->cross_values.push_back(cross.split(cross.value->forward(audio)).contiguous());
    }
    cache->self_keys.resize(layers);
    cache->self_values.resize(layers);
  }
  const bool causal = time > 1 && offset == 0;
  std::optional<at::Tensor> mask;
  if (time > 1 && offset > 0) mask = causal_mask(time, offset);
  for (size_t i = 0; i < layers; ++i) {
    const Block& block = *impl_->blocks->items[i];
    const auto& attn = *block.attn;
    at::Tensor h = block.attn_ln->forward(x);
    at::Tensor k = attn.split(attn.key->forward(h)), v = attn.split(attn.value->forward(h));
    if (cache) {
      if (offset > 0) {
        k = at::cat({cache->self_keys[i], k}, 2);
        v = at::cat({cache->self_values[i], v}, 2);
      }
      cache->self_keys[i] = k;
      cache->self_values[i] = v;
    }
    x = x + attn.attend(attn.split(attn.query->forward(h)), k, v, causal, mask);
    const auto& cross = *block.cross_attn;
    h = cross.split(cross.query->forward(block.cross_attn_ln->forward(x)));
    x = x + (cache ? cross.attend(h, cache->cross_keys[i], cache->cross_values[i])
                   : cross.attend(h, cross.split(cross.key->forward(audio)), cross.split(cross.value->forward(audio))));
    x = block.add_mlp(x);
  }
  if (cache) cache->length += time;
  return impl_->ln->forward(x);
}

void pack_for_inference(WhisperEncoder& encoder, MatrixType type) {
  whisper::pack_for_inference(encoder, type);
}

}  // namespace ichigo

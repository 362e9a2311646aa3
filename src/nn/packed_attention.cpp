#include "nn/packed_attention.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "nn/rows.h"

namespace ichigo {
namespace {

using kernels::kTileColumns;
using kernels::kTileRows;
using kernels::round_up;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// A matrix of floats with zero padding: rows to a multiple of both tile sizes, columns likewise.
struct Matrix {
  Matrix(int64_t rows, int64_t columns)
      : stride(round_up(columns, kTileColumns)), values(round_up(rows, kTileColumns) * stride) {}
  float* row(int64_t r) { return values.data() + r * stride; }
  const float* row(int64_t r) const { return values.data() + r * stride; }
  void clear() { std::fill(values.begin(), values.end(), 0.0F); }
  int64_t stride;
  std::vector<float> values;
};

struct Rotation {
  const float* cosine;
  const float* sine;
};

// The heads of packed tensors [total, heads * dim] as rows of `dim`.
struct Heads {
  Heads(const at::Tensor& packed, int64_t dim)
      : tensor(packed.contiguous().view({-1, dim})), rows(tensor), count(packed.size(1) / dim), dim(dim) {}

  // Head `head` of `length` tokens from `start` on, rotated by their positions when asked.
  void read(int64_t start, int64_t length, int64_t head, const Rotation* rotation, Matrix& to) const {
    float buffer[kLargestHead];
    for (int64_t t = 0; t < length; ++t) {
      const float* x = rows.read((start + t) * count + head, buffer);
      if (rotation == nullptr) {
        std::copy_n(x, dim, to.row(t));
      } else {
        const int64_t angle = t * dim / 2;
        kernels::rotate(x, rotation->cosine + angle, rotation->sine + angle, dim / 2, 1.0F, to.row(t));
      }
    }
  }
  // The way back: the rotation is turned round.
  void write(int64_t start, int64_t length, int64_t head, const Rotation* rotation, const Matrix& from) const {
    float buffer[kLargestHead];
    for (int64_t t = 0; t < length; ++t) {
      const int64_t row = (start + t) * count + head;
      float* y = rows.target(row, buffer);
      if (rotation == nullptr) {
        std::copy_n(from.row(t), dim, y);
      } else {
        const int64_t angle = t * dim / 2;
        kernels::rotate(from.row(t), rotation->cosine + angle, rotation->sine + angle, dim / 2, -1.0F, y);
      }
      rows.write(row, y);
    }
  }

  static constexpr int64_t kLargestHead = 512;
  at::Tensor tensor;
  rows::Rows rows;
  int64_t count, dim;
};

void transpose(const Matrix& from, int64_t rows, int64_t columns, Matrix& to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to.row(c)[r] = from.row(r)[c];
  }
}

// weights = softmax(query keys^T / sqrt(dim)), causal: entries above the diagonal are zero.
void attention_weights(const Matrix& query, const Matrix& keys_transposed, int64_t length, int64_t dim,
                       Matrix& weights) {
  const float scale = 1.0F / std::sqrt(static_cast<float>(dim));
  for (int64_t i = 0; i < length; i += kTileRows) {
    kernels::tile_product(query.row(i), query.stride, 1, 0, dim, keys_transposed.row(0), keys_transposed.stride,
                          weights.row(i), weights.stride, round_up(i + kTileRows, kTileColumns), false);
    for (int64_t r = i; r < i + kTileRows; ++r) {
      const int64_t visible = r < length ? r + 1 : 0;
      if (visible > 0) kernels::softmax(weights.row(r), visible, scale);
      std::fill(weights.row(r) + visible, weights.row(r) + weights.stride, 0.0F);
    }
  }
}

class PackedAttention : public torch::autograd::Function<PackedAttention> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& query, const at::Tensor& key,
                            const at::Tensor& value, const std::vector<int64_t>& lengths, int64_t head_dim,
                            const at::Tensor& cosine, const at::Tensor& sine) {
    context->save_for_backward({query, key, value, cosine, sine});
    context->saved_data["lengths"] = lengths;
    context->saved_data["head_dim"] = head_dim;
    at::Tensor output = at::empty_like(query, query.options(), at::MemoryFormat::Contiguous);
    const Heads q(query, head_dim), k(key, head_dim), v(value, head_dim), o(output, head_dim);
    const Rotation rotation{cosine.data_ptr<float>(), sine.data_ptr<float>()};
    for_each_task(lengths, k.count, [&](int64_t start, int64_t length, int64_t kv_head) {
      Matrix queries(length, head_dim), keys(length, head_dim), keys_transposed(head_dim, length);
      Matrix values(length, head_dim), weights(length, length), outputs(length, head_dim);
      k.read(start, length, kv_head, &rotation, keys);
      v.read(start, length, kv_head, nullptr, values);
      transpose(keys, length, head_dim, keys_transposed);
      const int64_t group = q.count / k.count;
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        q.read(start, length, head, &rotation, queries);
        attention_weights(queries, keys_transposed, length, head_dim, weights);
        for (int64_t i = 0; i < length; i += kTileRows) {
          kernels::tile_product(weights.row(i), weights.stride, 1, 0, std::min(length, i + kTileRows), values.row(0),
                                values.stride, outputs.row(i), outputs.stride, values.stride, false);
        }
        o.write(start, length, head, nullptr, outputs);
      }
    });
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto lengths = context->saved_data["lengths"].toIntVector();
    const int64_t head_dim = context->saved_data["head_dim"].toInt();
    at::Tensor dquery = at::empty(saved[0].sizes(), saved[0].options());
    at::Tensor dkey = at::empty(saved[1].sizes(), saved[1].options());
    at::Tensor dvalue = at::empty(saved[2].sizes(), saved[2].options());
    const Heads q(saved[0], head_dim), k(saved[1], head_dim), v(saved[2], head_dim), d(gradients[0], head_dim);
    const Heads dq(dquery, head_dim), dk(dkey, head_dim), dv(dvalue, head_dim);
    const Rotation rotation{saved[3].data_ptr<float>(), saved[4].data_ptr<float>()};
    const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
    for_each_task(lengths, k.count, [&](int64_t start, int64_t length, int64_t kv_head) {
      Matrix queries(length, head_dim), keys(length, head_dim), keys_transposed(head_dim, length);
      Matrix values(length, head_dim), values_transposed(head_dim, length), outputs(length, head_dim);
      Matrix weights(length, length), dweights(length, length);
      Matrix dqueries(length, head_dim), dkeys(length, head_dim), dvalues(length, head_dim);
      k.read(start, length, kv_head, &rotation, keys);
      v.read(start, length, kv_head, nullptr, values);
      transpose(keys, length, head_dim, keys_transposed);
      transpose(values, length, head_dim, values_transposed);
      const int64_t group = q.count / k.count;
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        q.read(start, length, head, &rotation, queries);
        d.read(start, length, head, nullptr, outputs);
        attention_weights(queries, keys_transposed, length, head_dim, weights);
        for (int64_t i = 0; i < length; i += kTileRows) {
          kernels::tile_product(outputs.row(i), outputs.stride, 1, 0, head_dim, values_transposed.row(0),
                                values_transposed.stride, dweights.row(i), dweights.stride,
                                round_up(i + kTileRows, kTileColumns), false);
          for (int64_t r = i; r < i + kTileRows; ++r) {
            const int64_t visible = r < length ? r + 1 : 0;
            kernels::softmax_backward(weights.row(r), dweights.row(r), visible, scale);
            std::fill(dweights.row(r) + visible, dweights.row(r) + dweights.stride, 0.0F);
          }
          kernels::tile_product(dweights.row(i), dweights.stride, 1, 0, std::min(length, i + kTileRows), keys.row(0),
                                keys.stride, dqueries.row(i), dqueries.stride, keys.stride, false);
        }
        for (int64_t j = 0; j < length; j += kTileRows) {  // transposed: a key's queries are those from it on
          kernels::tile_product(dweights.row(0) + j, 1, dweights.stride, j, length, queries.row(0), queries.stride,
                                dkeys.row(j), dkeys.stride, queries.stride, true);
          kernels::tile_product(weights.row(0) + j, 1, weights.stride, j, length, outputs.row(0), outputs.stride,
                                dvalues.row(j), dvalues.stride, outputs.stride, true);
        }
        dq.write(start, length, head, &rotation, dqueries);
      }
      dk.write(start, length, kv_head, &rotation, dkeys);
      dv.write(start, length, kv_head, nullptr, dvalues);
    });
    return {dquery, dkey, dvalue, at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

 private:
  // body(start, length, kv_head) for every sequence and key head, on all threads.
  template <typename Body>
  static void for_each_task(const std::vector<int64_t>& lengths, int64_t kv_heads, const Body& body) {
    std::vector<int64_t> starts;
    int64_t start = 0;
    for (const int64_t length : lengths) {
      starts.push_back(start);
      start += length;
    }
    at::parallel_for(0, static_cast<int64_t>(lengths.size()) * kv_heads, 1, [&](int64_t first, int64_t last) {
      for (int64_t task = first; task < last; ++task)
        body(starts[task / kv_heads], lengths[task / kv_heads], task % kv_heads);
    });
  }
};

}  // namespace

at::Tensor packed_attention_reference(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                      const std::vector<int64_t>& lengths, int64_t head_dim,
                                      const RotaryTable& rotary) {
  const int64_t heads = query.size(1) / head_dim;
  const int64_t kv_heads = key.size(1) / head_dim;
  std::vector<at::Tensor> outputs;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    const at::Tensor positions = at::arange(length, query.options().dtype(at::kLong));
    auto take = [&](const at::Tensor& x) { return x.slice(0, start, start + length).view({length, -1, head_dim}); };
    const at::Tensor q = rotate_reference(take(query), rotary, positions).transpose(0, 1);
    const at::Tensor k = rotate_reference(take(key), rotary, positions).transpose(0, 1);
    const at::Tensor v = take(value).transpose(0, 1);
    const at::Tensor output =
        at::scaled_dot_product_attention(q.unsqueeze(0), k.repeat_interleave(heads / kv_heads, 0).unsqueeze(0),
                                         v.repeat_interleave(heads / kv_heads, 0).unsqueeze(0), {}, 0.0, true);
    outputs.push_back(output.squeeze(0).transpose(0, 1).reshape({length, heads * head_dim}));
    start += length;
  }
  return at::cat(outputs, 0);
}

PackedSequences::PackedSequences(std::vector<int64_t> of_each, at::Device device) : lengths(std::move(of_each)) {
  for (const int64_t length : lengths) {
    require(length > 0, "a packed sequence must have a token");
    longest = std::max(longest, length);
    total += length;
  }
  std::vector<int64_t> in_sequence, place, token;
  int64_t start = 0;
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) {
      in_sequence.push_back(t);
      place.push_back(static_cast<int64_t>(token.size()) + t);
    }
    for (int64_t t = 0; t < longest; ++t) token.push_back(start + std::min(t, length - 1));
    start += length;
  }
  positions = at::tensor(in_sequence, at::kLong).to(device);
  spread = at::tensor(token, at::kLong).to(device);
  gathered = at::tensor(place, at::kLong).to(device);
}

at::Tensor packed_attention_side_by_side(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                         const PackedSequences& sequences, int64_t head_dim,
                                         const RotaryTable& rotary) {
  const auto count = static_cast<int64_t>(sequences.lengths.size());
  // [total, heads * head_dim] -> [sequences, heads, longest, head_dim]
  const auto spread = [&](const at::Tensor& x, bool rotated) {
    const at::Tensor heads = x.view({sequences.total, -1, head_dim});
    return (rotated ? rotate_reference(heads, rotary, sequences.positions) : heads)
        .index_select(0, sequences.spread)
        .view({count, sequences.longest, -1, head_dim})
        .transpose(1, 2);
  };
  const at::Tensor attended =
      at::scaled_dot_product_attention(spread(query, true), spread(key, true), spread(value, false), {}, 0.0,
                                       /*is_causal=*/true, std::nullopt, /*enable_gqa=*/true);
  return attended.transpose(1, 2)
      .reshape({count * sequences.longest, query.size(1)})
      .index_select(0, sequences.gathered);
}

at::Tensor packed_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                            const PackedSequences& sequences, int64_t head_dim, const RotaryTable& rotary) {
  require(sequences.total == query.size(0), "packed sequences of ", sequences.total,
          " tokens in all do not fill a batch of ", query.size(0));
  require(head_dim <= Heads::kLargestHead, "attention heads of ", head_dim, " values are more than ",
          Heads::kLargestHead);
  if (!query.is_cpu()) return packed_attention_side_by_side(query, key, value, sequences, head_dim, rotary);
  return PackedAttention::apply(query, key, value, sequences.lengths, head_dim, rotary.cosine(), rotary.sine());
}

}  // namespace ichigo

#include "nn/rotary.h"

#include <algorithm>
#include <vector>

#include "nn/rows.h"

namespace ichigo {

RotaryTable::RotaryTable(int64_t head_dim, double theta, const std::optional<RopeScaling>& scaling)
    : inverse_frequencies_(at::tensor(rope_frequencies(head_dim, theta, scaling), at::kFloat)) {}

void RotaryTable::reserve(int64_t positions, at::Device device) {
  if (cosine_.defined() && cosine_.size(0) >= positions && cosine_.device() == device) return;
  const int64_t size = std::max<int64_t>(positions, cosine_.defined() ? 2 * cosine_.size(0) : 256);
  const at::Tensor angles = at::outer(at::arange(size, at::kFloat), inverse_frequencies_);
  cosine_ = angles.cos().to(device);
  sine_ = angles.sin().to(device);
}

at::Tensor rotate_positions(const at::Tensor& x, const RotaryTable& table, int64_t offset) {
  const int64_t heads = x.size(1);
  const int64_t half = x.size(2) / 2;
  if (!x.is_cpu()) {
    return rotate_reference(x, table, at::arange(offset, offset + x.size(0), x.options().dtype(at::kLong)));
  }
  const at::Tensor input = x.contiguous();
  at::Tensor output = at::empty_like(input);
  const rows::Rows in(input), out(output);
  const float* cosine = table.cosine().data_ptr<float>();
  const float* sine = table.sine().data_ptr<float>();
  std::vector<float> a(2 * half), b(2 * half);
  for (int64_t row = 0; row < x.size(0) * heads; ++row) {
    const int64_t position = (offset + row / heads) * half;
    float* y = out.target(row, b.data());
    kernels::rotate(in.read(row, a.data()), cosine + position, sine + position, half, 1.0F, y);
    out.write(row, y);
  }
  return output;
}

at::Tensor rotate_reference(const at::Tensor& x, const RotaryTable& table, const at::Tensor& positions) {
  const at::Tensor cosine = table.cosine().index_select(0, positions).unsqueeze(1);
  const at::Tensor sine = table.sine().index_select(0, positions).unsqueeze(1);
  const at::Tensor wide = x.to(at::kFloat);
  const int64_t half = x.size(-1) / 2;
  const at::Tensor first = wide.narrow(-1, 0, half), second = wide.narrow(-1, half, half);
  return at::cat({first * cosine - second * sine, second * cosine + first * sine}, -1).to(x.scalar_type());
}

}  // namespace ichigo

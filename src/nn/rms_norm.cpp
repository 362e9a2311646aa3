#include "nn/rms_norm.h"

#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <vector>

#include "nn/rows.h"

namespace ichigo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor forward_rows(const at::Tensor& x, const at::Tensor& weight, double epsilon, at::Tensor* rstd) {
  const at::Tensor input = x.contiguous();
  const at::Tensor scale = weight.to(at::kFloat).contiguous();
  at::Tensor output = at::empty_like(input);
  const int64_t width = input.size(-1);
  const int64_t count = input.numel() / width;
  if (rstd != nullptr) *rstd = at::empty({count}, input.options().dtype(at::kFloat));
  float* saved = rstd != nullptr ? rstd->data_ptr<float>() : nullptr;
  const rows::Rows in(input), out(output);
  const float* weights = scale.data_ptr<float>();
  rows::parallel(count, [&](int64_t first, int64_t last) {
    std::vector<float> a(width), b(width);
    for (int64_t row = first; row < last; ++row) {
      float* y = out.target(row, b.data());
      const float r =
          kernels::rms_norm(in.read(row, a.data()), weights, width, static_cast<float>(epsilon), y);
      if (saved != nullptr) saved[row] = r;
      out.write(row, y);
    }
  });
  return output;
}

class RmsNorm : public torch::autograd::Function<RmsNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight, double epsilon) {
    at::Tensor rstd;
    at::Tensor output = forward_rows(x, weight, epsilon, &rstd);
    context->save_for_backward({x, weight, rstd});
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor x = saved[0].contiguous();
    const at::Tensor weight = saved[1].to(at::kFloat).contiguous();
    const at::Tensor dy = gradients[0].contiguous();
    const int64_t width = x.size(-1);
    const int64_t count = x.numel() / width;
    at::Tensor dx = at::empty_like(x);
    // Each range of rows sums its own share; shares are added in order, so that the result is the same every time.
    const int64_t shares = std::max<int64_t>(1, at::get_num_threads());
    const int64_t rows_per_share = (count + shares - 1) / shares;
    at::Tensor dweight = at::zeros({shares, width}, x.options().dtype(at::kFloat));
    const rows::Rows in(x), gradient(dy), out(dx);
    const float* weights = weight.data_ptr<float>();
    const float* rstd = saved[2].data_ptr<float>();
    at::parallel_for(0, shares, 1, [&](int64_t first_share, int64_t last_share) {
      std::vector<float> a(width), b(width), c(width);
      for (int64_t share = first_share; share < last_share; ++share) {
        float* sums = dweight.data_ptr<float>() + share * width;
        const int64_t last = std::min(count, (share + 1) * rows_per_share);
        for (int64_t row = share * rows_per_share; row < last; ++row) {
          float* result = out.target(row, c.data());
          kernels::rms_norm_backward(in.read(row, a.data()), weights, gradient.read(row, b.data()), rstd[row], width,
                                     result, sums);
          out.write(row, result);
        }
      }
    });
    return {dx, dweight.sum(0).to(saved[1].scalar_type()), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor rstd = at::rsqrt(wide.pow(2).mean(-1, true) + epsilon);
  return (wide * rstd).to(x.scalar_type()) * weight;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon) {
  if (!x.is_cpu()) return rms_norm_reference(x, weight, epsilon);
  if (!at::GradMode::is_enabled()) return forward_rows(x, weight, epsilon, nullptr);
  return RmsNorm::apply(x, weight, epsilon);
}

}  // namespace ichigo

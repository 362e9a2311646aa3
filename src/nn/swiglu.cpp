#include "nn/swiglu.h"

#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "nn/rows.h"

namespace ichigo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor forward_rows(const at::Tensor& gate, const at::Tensor& up) {
  const at::Tensor g = gate.contiguous();
  const at::Tensor u = up.contiguous();
  at::Tensor output = at::empty_like(g);
  const int64_t width = g.size(-1);
  const rows::Rows gates(g), ups(u), out(output);
  rows::parallel(g.numel() / width, [&](int64_t first, int64_t last) {
    std::vector<float> a(width), b(width), c(width);
    for (int64_t row = first; row < last; ++row) {
      float* y = out.target(row, c.data());
      kernels::swiglu(gates.read(row, a.data()), ups.read(row, b.data()), width, y);
      out.write(row, y);
    }
  });
  return output;
}

class SwiGlu : public torch::autograd::Function<SwiGlu> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate, const at::Tensor& up) {
    context->save_for_backward({gate, up});
    return forward_rows(gate, up);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor gate = saved[0].contiguous();
    const at::Tensor up = saved[1].contiguous();
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dgate = at::empty_like(gate);
    at::Tensor dup = at::empty_like(up);
    const int64_t width = gate.size(-1);
    const rows::Rows gates(gate), ups(up), in(dy), out_gate(dgate), out_up(dup);
    rows::parallel(gate.numel() / width, [&](int64_t first, int64_t last) {
      std::vector<float> a(width), b(width), c(width), d(width), e(width);
      for (int64_t row = first; row < last; ++row) {
        float* dg = out_gate.target(row, d.data());
        float* du = out_up.target(row, e.data());
        kernels::swiglu_backward(gates.read(row, a.data()), ups.read(row, b.data()), in.read(row, c.data()), width, dg,
                                 du);
        out_gate.write(row, dg);
        out_up.write(row, du);
      }
    });
    return {dgate, dup};
  }
};

}  // namespace

at::Tensor swiglu_reference(const at::Tensor& gate, const at::Tensor& up) { return at::silu(gate) * up; }

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  if (!gate.is_cpu()) return swiglu_reference(gate, up);
  if (!at::GradMode::is_enabled()) return forward_rows(gate, up);
  return SwiGlu::apply(gate, up);
}

}  // namespace ichigo

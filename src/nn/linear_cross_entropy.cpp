#include "nn/linear_cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

#include <vector>

#include "nn/rows.h"

namespace ichigo {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Overwrites logits [rows, vocabulary] with the gradient of the summed loss, which is returned.
double cross_entropy_rows(at::Tensor& logits, const at::Tensor& targets) {
  const int64_t count = logits.size(0);
  const int64_t width = logits.size(1);
  if (!logits.is_cpu()) {
    const at::Tensor log_probabilities = at::log_softmax(logits, -1, at::kFloat);
    const at::Tensor chosen = log_probabilities.gather(1, targets.unsqueeze(1));
    at::Tensor gradient = log_probabilities.exp_();
    gradient.scatter_add_(1, targets.unsqueeze(1), at::full_like(chosen, -1.0));
    logits.copy_(gradient);
    return -chosen.sum().item<double>();
  }
  std::vector<double> losses(count);
  const int64_t* target = targets.data_ptr<int64_t>();
  const rows::Rows in(logits);
  rows::parallel(count, [&](int64_t first, int64_t last) {
    std::vector<float> buffer(width);
    for (int64_t row = first; row < last; ++row) {
      auto* values = const_cast<float*>(in.read(row, buffer.data()));
      losses[row] = kernels::cross_entropy_gradient(values, width, target[row]);
      in.write(row, values);
    }
  });
  double sum = 0;
  for (const double loss : losses) sum += loss;
  return sum;
}

class LinearCrossEntropy : public torch::autograd::Function<LinearCrossEntropy> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& hidden, const at::Tensor& weight,
                            const at::Tensor& targets, int64_t chunk_rows) {
    const int64_t count = hidden.size(0);
    at::Tensor dhidden = at::empty_like(hidden);
    at::Tensor dweight = at::zeros(weight.sizes(), weight.options().dtype(at::kFloat));
    const at::Tensor kept = targets.contiguous();
    double loss = 0;
    for (int64_t start = 0; start < count; start += chunk_rows) {
      const int64_t end = std::min(count, start + chunk_rows);
      const at::Tensor chunk = hidden.slice(0, start, end);
      at::Tensor logits = at::mm(chunk, weight.t());
      loss += cross_entropy_rows(logits, kept.slice(0, start, end));
      dhidden.slice(0, start, end).copy_(at::mm(logits, weight));
      dweight.add_(at::mm(logits.t(), chunk));
    }
    context->save_for_backward({dhidden, dweight.to(weight.scalar_type())});
    return at::scalar_tensor(loss, hidden.options().dtype(at::kFloat));
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const double scale = gradients[0].item<double>();
    if (scale == 1.0) return {saved[0], saved[1], at::Tensor(), at::Tensor()};
    return {saved[0] * scale, saved[1] * scale, at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor linear_cross_entropy_reference(const at::Tensor& hidden, const at::Tensor& weight,
                                          const at::Tensor& targets) {
  return at::cross_entropy_loss(at::linear(hidden, weight).to(at::kFloat), targets, {}, at::Reduction::Sum);
}

at::Tensor linear_cross_entropy(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& targets,
                                int64_t chunk_rows) {
  return LinearCrossEntropy::apply(hidden, weight, targets, chunk_rows);
}

}  // namespace ichigo

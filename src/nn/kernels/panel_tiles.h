// Cuts any number of vectors into tiles, as even as they can be, for kernels that are compiled for each number of
// vectors up to their kMostVectors: Kernel::run<V>(panel, x, first vector, target).
#pragma once
#include <array>
#include <cstdint>
#include <utility>

#include "nn/kernels/matrix_kernels.h"

namespace ichigo::kernels {

// Where the sums of a tile's vectors go: y[v * stride + r], r < rows.
struct PanelTarget {
  float* y;
  int64_t stride, rows;
  bool add;
};

template <typename Kernel>
void in_tiles(const uint8_t* panel, const VectorsView& x, int64_t vectors, const PanelTarget& to) {
  using Run = void (*)(const uint8_t*, const VectorsView&, int64_t, const PanelTarget&);
  constexpr int most = Kernel::kMostVectors;
  static constexpr auto kRuns = []<int... v>(std::integer_sequence<int, v...>) {
    return std::array<Run, most>{&Kernel::template run<v + 1>...};
  }(std::make_integer_sequence<int, most>());
  const int64_t tiles = (vectors + most - 1) / most;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t first = vectors * tile / tiles, last = vectors * (tile + 1) / tiles;
    kRuns[last - first - 1](panel, x, first, {to.y + first * to.stride, to.stride, to.rows, to.add});
  }
}

// The same with the kernel of the weights' type, out of an instruction set's four.
template <typename Float32, typename BFloat16, typename Q8, typename Q4>
void in_tiles(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, const PanelTarget& to) {
  switch (type) {
    case MatrixType::kFloat32:
      return in_tiles<Float32>(panel, x, vectors, to);
    case MatrixType::kBFloat16:
      return in_tiles<BFloat16>(panel, x, vectors, to);
    case MatrixType::kQ8_0:
      return in_tiles<Q8>(panel, x, vectors, to);
    case MatrixType::kQ4_0:
      return in_tiles<Q4>(panel, x, vectors, to);
  }
}

}  // namespace ichigo::kernels

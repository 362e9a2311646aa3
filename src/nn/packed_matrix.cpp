#include "nn/packed_matrix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "nn/kernels/row_kernels.h"

namespace ichigo {
namespace {

using kernels::kBlockColumns;
using kernels::kPanelRows;
using kernels::round_up;

constexpr int64_t kPadding = 64;  // bytes between vectors, lest those of a power of two share a line of the cache
constexpr int64_t kScaleBytes = 2 * kPanelRows;

std::optional<BlockType> block_type(MatrixType type) {
  if (type == MatrixType::kQ8_0) return BlockType::kQ8_0;
  if (type == MatrixType::kQ4_0) return BlockType::kQ4_0;
  return std::nullopt;
}

// Where four columns of a row begin in a block's weights, and by how many bits they are shifted (q4_0).
struct Place {
  int64_t byte;
  int shift;
};
Place place_of(MatrixType type, int64_t column, int64_t row) {
  const int64_t group = column / 4 % (type == MatrixType::kQ4_0 ? 4 : 8);
  return {kScaleBytes + group * 64 + row * 4 + column % 4, type == MatrixType::kQ4_0 && column >= 16 ? 4 : 0};
}

// A row's blocks as GGUF stores them -> row `row` of a panel whose bytes are zero.
void place_blocks(MatrixType type, const std::byte* stored, int64_t blocks, int64_t row, uint8_t* panel) {
  const int64_t stored_bytes = block_bytes(*block_type(type));
  for (int64_t b = 0; b < blocks; ++b) {
    const auto* from = reinterpret_cast<const uint8_t*>(stored) + b * stored_bytes;
    uint8_t* to = panel + b * panel_bytes(type, kBlockColumns);
    std::memcpy(to + row * 2, from, 2);
    if (type == MatrixType::kQ8_0) {
      for (int64_t group = 0; group < 8; ++group) {
        uint32_t four;
        std::memcpy(&four, from + 2 + group * 4, sizeof(four));
        four ^= 0x80808080U;  // signed to weight + 128
        std::memcpy(to + kScaleBytes + group * 64 + row * 4, &four, sizeof(four));
      }
    } else {
      // Byte j holds columns j and j + 16: already the two halves of one byte here.
      for (int64_t group = 0; group < 4; ++group) {
        std::memcpy(to + kScaleBytes + group * 64 + row * 4, from + 2 + group * 4, 4);
      }
    }
  }
}

}  // namespace

std::string name_of(MatrixType type) {
  switch (type) {
    case MatrixType::kFloat32:
      return "float32";
    case MatrixType::kBFloat16:
      return "bfloat16";
    case MatrixType::kQ8_0:
      return "q8_0";
    case MatrixType::kQ4_0:
      return "q4_0";
  }
  return "";
}

MatrixType natural_type(const std::optional<BlockType>& stored) {
  if (stored) return *stored == BlockType::kQ4_0 ? MatrixType::kQ4_0 : MatrixType::kQ8_0;
  return MatrixType::kBFloat16;
}

void PackedVectors::assign(const float* x, int64_t vectors, int64_t columns, MatrixType type) {
  type_ = type;
  count_ = vectors;
  const int64_t padded = round_up(columns, kBlockColumns), blocks = padded / kBlockColumns;
  const int64_t element = type == MatrixType::kFloat32 ? 4 : type == MatrixType::kBFloat16 ? 2 : 1;
  view_ = {};
  view_.columns = padded;
  view_.stride = padded + (vectors > 1 ? kPadding / element : 0);
  const auto room = static_cast<size_t>(vectors * view_.stride);
  const auto each = [&](const auto& convert) {
    at::parallel_for(0, vectors, std::max<int64_t>(1, 65536 / columns), [&](int64_t first, int64_t last) {
      std::vector<float> filled;
      for (int64_t v = first; v < last; ++v) {
        const float* from = x + v * columns;
        if (padded != columns) {
          filled.assign(static_cast<size_t>(padded), 0.0F);
          std::copy_n(from, columns, filled.begin());
          from = filled.data();
        }
        convert(from, v);
      }
    });
  };
  if (type == MatrixType::kFloat32) {
    floats_.resize(room);
    each([&](const float* from, int64_t v) { std::copy_n(from, padded, floats_.data() + v * view_.stride); });
    view_.floats = floats_.data();
  } else if (type == MatrixType::kBFloat16) {
    bfloat16_.resize(room);
    each([&](const float* from, int64_t v) { kernels::narrow(from, bfloat16_.data() + v * view_.stride, padded); });
    view_.bfloat16 = bfloat16_.data();
  } else {
    bytes_.resize(room);
    scales_.resize(static_cast<size_t>(vectors * blocks));
    shifts_.resize(scales_.size());
    const int32_t added = type == MatrixType::kQ8_0 ? 128 : 8;
    each([&](const float* from, int64_t v) {
      kernels::quantize_vector(from, blocks, added, bytes_.data() + v * view_.stride, scales_.data() + v * blocks,
                               shifts_.data() + v * blocks);
    });
    view_.bytes = bytes_.data();
    view_.scales = scales_.data();
    view_.shifts = shifts_.data();
  }
}

PackedMatrix::PackedMatrix(const std::vector<MatrixRows>& parts, MatrixType type)
    : type_(type), instructions_(kernels::fastest(type)) {
  require(!parts.empty(), "a matrix needs rows");
  columns_ = parts.front().columns;
  for (const MatrixRows& part : parts) {
    require(part.columns == columns_, "matrices of ", columns_, " and ", part.columns, " columns cannot be one");
    rows_ += part.rows;
  }
  padded_columns_ = round_up(columns_, kBlockColumns);
  const int64_t panels = (rows_ + kPanelRows - 1) / kPanelRows;
  data_ = at::empty({panels * panel_bytes(type_, padded_columns_)}, at::kByte);
  panels_ = data_.data_ptr<uint8_t>();
  at::parallel_for(0, panels, 1, [&](int64_t first, int64_t last) {
    std::vector<float> scratch(static_cast<size_t>(padded_columns_));
    for (int64_t index = first; index < last; ++index) pack_panel(parts, index, scratch);
  });
}

uint8_t* PackedMatrix::panel(int64_t index) const {
  return panels_ + index * panel_bytes(type_, padded_columns_);
}

void PackedMatrix::pack_panel(const std::vector<MatrixRows>& parts, int64_t index, std::vector<float>& scratch) const {
  uint8_t* to = panel(index);
  std::memset(to, 0, static_cast<size_t>(panel_bytes(type_, padded_columns_)));
  const std::optional<BlockType> blocks = block_type(type_);
  const int64_t count = padded_columns_ / kBlockColumns;
  std::vector<uint16_t> row;      // in bfloat16
  std::vector<std::byte> stored;  // in blocks
  int64_t begin = 0;
  for (const MatrixRows& part : parts) {
    const int64_t first = std::max(index * kPanelRows, begin);
    const int64_t last = std::min((index + 1) * kPanelRows, begin + part.rows);
    for (int64_t at = first; at < last; ++at) {
      const int64_t r = at - index * kPanelRows;
      if (blocks && part.blocks == blocks) {
        place_blocks(type_, part.stored(at - begin), count, r, to);
        continue;
      }
      part.read(at - begin, scratch.data());
      if (type_ == MatrixType::kFloat32) {
        for (int64_t k = 0; k < columns_; ++k) std::memcpy(to + (k * kPanelRows + r) * 4, &scratch[k], 4);
      } else if (type_ == MatrixType::kBFloat16) {
        row.resize(scratch.size());
        kernels::narrow(scratch.data(), row.data(), columns_);
        for (int64_t k = 0; k < columns_; ++k) {
          std::memcpy(to + k / 2 * 64 + r * 4 + k % 2 * 2, &row[k], 2);
        }
      } else {
        require(std::all_of(scratch.begin(), scratch.end(), [](float value) { return std::isfinite(value); }),
                "weights that are not finite cannot be computed with as ", name_of(type_));
        stored.resize(static_cast<size_t>(blocks_bytes(*blocks, padded_columns_)));
        quantize_blocks(*blocks, scratch.data(), padded_columns_, stored.data());
        place_blocks(type_, stored.data(), count, r, to);
      }
    }
    begin += part.rows;
  }
}

void PackedMatrix::copy_panels(uint8_t* to) const {
  std::memcpy(to, data_.const_data_ptr(), static_cast<size_t>(bytes()));
}

void PackedMatrix::read_row(int64_t row, float* out) const {
  const uint8_t* from = panel(row / kPanelRows);
  const int64_t r = row % kPanelRows;
  for (int64_t k = 0; k < columns_; ++k) {
    if (type_ == MatrixType::kFloat32) {
      std::memcpy(out + k, from + (k * kPanelRows + r) * 4, 4);
    } else if (type_ == MatrixType::kBFloat16) {
      kernels::widen(reinterpret_cast<const uint16_t*>(from + k / 2 * 64 + r * 4 + k % 2 * 2), out + k, 1);
    } else {
      const uint8_t* block = from + k / kBlockColumns * panel_bytes(type_, kBlockColumns);
      uint16_t scale;
      std::memcpy(&scale, block + r * 2, 2);
      const Place place = place_of(type_, k % kBlockColumns, r);
      const int whole =
          type_ == MatrixType::kQ8_0 ? block[place.byte] - 128 : (block[place.byte] >> place.shift & 15) - 8;
      out[k] = static_cast<float>(whole) * c10::detail::fp16_ieee_to_fp32_value(scale);
    }
  }
}

void PackedMatrix::multiply(const PackedVectors& x, float* y, bool add) const {
  require(x.type() == type_ && x.view().columns == padded_columns_, "vectors of ", x.view().columns, " ",
          name_of(x.type()), " values do not fit a matrix of ", padded_columns_, " ", name_of(type_), " columns");
  const int64_t panels = (rows_ + kPanelRows - 1) / kPanelRows;
  at::parallel_for(0, panels, std::max<int64_t>(1, 32768 / padded_columns_), [&](int64_t first, int64_t last) {
    for (int64_t index = first; index < last; ++index) {
      const int64_t row = index * kPanelRows;
      kernels::multiply_panel(instructions_, type_, panel(index), x.view(), x.count(), y + row, rows_,
                              std::min(kPanelRows, rows_ - row), add);
    }
  });
}

}  // namespace ichigo

// A minimal reader of the golden float32 safetensors files. The project's own reader belongs to a module above audio.
#pragma once
#include <ATen/ATen.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ichigo::test {

inline std::map<std::string, at::Tensor> read_tensors(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    at::Tensor tensor = at::empty(entry.at("shape").get<std::vector<int64_t>>());
    const auto begin = entry.at("data_offsets").at(0).get<size_t>();
    std::memcpy(tensor.data_ptr(), bytes.data() + 8 + length + begin, tensor.nbytes());
    tensors[name] = tensor;
  }
  return tensors;
}

inline std::vector<float> to_vector(const at::Tensor& tensor) {
  const auto* data = tensor.const_data_ptr<float>();
  return {data, data + tensor.numel()};
}

}  // namespace ichigo::test

// A pickle machine that knows plain containers and PyTorch's tensors, and nothing that could run code.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ichigo {

// One object of a pickle. Objects may be shared; a hostile pickle may even make a cycle.
struct PickleValue {
  enum class Kind { kNone, kBool, kInteger, kFloat, kString, kList, kTuple, kDictionary, kGlobal, kStorage, kTensor };
  Kind kind = Kind::kNone;
  int64_t integer = 0;  // also a bool
  double number = 0.0;
  std::string text;  // a string, or a global's "module name"
  // Elements; a dictionary's keys and values in turn; of a storage's persistent id and a tensor's
  // arguments those that count ("storage", type, key, place, elements; storage, offset, sizes, strides).
  std::vector<PickleValue*> items;
};

struct Pickle {
  std::deque<PickleValue> values;  // owns every object
  PickleValue* root = nullptr;
};

// Throws Error "NAME, byte N: ..." for any opcode or global that is not known.
Pickle read_pickle(std::span<const std::byte> bytes, const std::string& name);

}  // namespace ichigo

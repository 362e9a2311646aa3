// Source of the opcodes: Python's pickletools. What torch.save writes is protocol 2.
#include "weights/pickle.h"

#include <bit>
#include <unordered_map>

#include "weights/byte_reader.h"

namespace ichigo {
namespace {

using Kind = PickleValue::Kind;

// One byte of a pickle can make an object, and one or two put it onto the stack or into a container.
constexpr size_t kMaxValues = 1'000'000, kMaxStack = 65'536, kMaxItems = 262'144;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& name) : reader_(bytes, name) {}

  Pickle run() {
    while (pickle_.root == nullptr) step();
    return std::move(pickle_);
  }

 private:
  PickleValue& make(Kind kind) {
    if (pickle_.values.size() >= kMaxValues) reader_.error("the pickle has more than ", kMaxValues, " objects");
    pickle_.values.emplace_back().kind = kind;
    return pickle_.values.back();
  }
  void push(PickleValue& value) {
    check_depth();
    stack_.push_back(&value);
  }
  void check_depth() {
    if (stack_.size() + marks_.size() >= kMaxStack) reader_.error("the pickle's stack is deeper than ", kMaxStack);
  }
  void check_items(size_t added) {
    if ((items_ += added) > kMaxItems) reader_.error("the pickle's containers hold more than ", kMaxItems, " objects");
  }
  void push_integer(int64_t integer, Kind kind = Kind::kInteger) {
    PickleValue& value = make(kind);
    value.integer = integer;
    push(value);
  }
  void push_text(uint64_t size) {
    PickleValue& value = make(Kind::kString);
    value.text = reader_.text(size, "a string");
    push(value);
  }
  PickleValue* pop() {
    const size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) reader_.error("the pickle takes from an empty stack");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  std::vector<PickleValue*> pop_to_mark() {
    if (marks_.empty()) reader_.error("the pickle has no mark");
    std::vector<PickleValue*> items(stack_.begin() + static_cast<int64_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }
  void push_tuple(std::vector<PickleValue*> items) {
    check_items(items.size());
    PickleValue& tuple = make(Kind::kTuple);
    tuple.items = std::move(items);
    push(tuple);
  }
  void append(const std::vector<PickleValue*>& items, Kind kind) {
    PickleValue* target = pop();
    if (target->kind != kind) reader_.error("the pickle adds items to what is no container for them");
    if (kind == Kind::kDictionary && items.size() % 2 != 0) reader_.error("a dictionary's key has no value");
    check_items(items.size());
    target->items.insert(target->items.end(), items.begin(), items.end());
    push(*target);
  }
  std::string line() {
    std::string text;
    for (char c = 0; (c = reader_.number<char>("a global's name")) != '\n';) text += c;
    return text;
  }
  void remember(uint32_t index) {
    if (stack_.empty()) reader_.error("the pickle remembers nothing");
    memo_[index] = stack_.back();
  }
  void recall(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) reader_.error("the pickle has nothing under number ", index);
    push(*found->second);
  }

  void push_long() {
    const auto size = reader_.number<uint8_t>("a long");
    if (size > 8) reader_.error("a whole number of ", int{size}, " bytes is too large");
    const auto bytes = reader_.take(size, "a long");
    uint64_t value = size > 0 && (static_cast<uint8_t>(bytes.back()) & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
    push_integer(static_cast<int64_t>(value));
  }

  void push_global() {
    const std::string module = line();
    const std::string name = line();
    const bool storage = module == "torch" && name.ends_with("Storage");
    const bool known = (module == "collections" && name == "OrderedDict") ||
                       (module == "torch._utils" && (name == "_rebuild_tensor_v2" || name == "_rebuild_parameter"));
    if (!storage && !known) {
      reader_.error("the global \"", module, ".", name,
                    "\" is refused: only tensors and plain containers are read from a pickle");
    }
    PickleValue& global = make(Kind::kGlobal);
    global.text = module + "." + name;
    push(global);
  }

  void call() {
    const PickleValue* arguments = pop();
    const PickleValue* function = pop();
    if (function->kind != Kind::kGlobal || arguments->kind != Kind::kTuple) {
      reader_.error("the pickle calls something that is no known function");
    }
    const auto& items = arguments->items;
    if (function->text == "collections.OrderedDict") {
      if (!items.empty()) reader_.error("an OrderedDict with arguments is not supported");
      push(make(Kind::kDictionary));
    } else if (function->text == "torch._utils._rebuild_tensor_v2") {
      if (items.size() < 4 || items[0]->kind != Kind::kStorage || items[1]->kind != Kind::kInteger ||
          items[2]->kind != Kind::kTuple || items[3]->kind != Kind::kTuple) {
        reader_.error("a tensor is not made of storage, offset, sizes and strides");
      }
      PickleValue& tensor = make(Kind::kTensor);
      tensor.items.assign(items.begin(), items.begin() + 4);
      push(tensor);
    } else if (function->text == "torch._utils._rebuild_parameter") {
      if (items.empty() || items[0]->kind != Kind::kTensor) reader_.error("a parameter is not made of a tensor");
      push(*items[0]);
    } else {
      reader_.error("\"", function->text, "\" cannot be called");
    }
  }

  void push_storage() {
    const PickleValue* id = pop();
    if (id->kind != Kind::kTuple || id->items.size() < 5 || id->items[0]->text != "storage") {
      reader_.error("a persistent id is not that of a storage");
    }
    PickleValue& storage = make(Kind::kStorage);
    storage.items.assign(id->items.begin(), id->items.begin() + 5);
    push(storage);
  }

  void step();

  ByteReader reader_;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, PickleValue*> memo_;
  size_t items_ = 0;  // of all containers
};

void Machine::step() {
  const auto opcode = reader_.number<uint8_t>("an opcode");
  switch (opcode) {
    case 0x80: {  // PROTO
      const auto protocol = reader_.number<uint8_t>("the protocol");
      if (protocol > 2) reader_.error("pickle protocol ", int{protocol}, " instead of 2");
      break;
    }
    case '.':
      pickle_.root = pop();
      break;
    case '(':
      check_depth();
      marks_.push_back(stack_.size());
      break;
    case '0':
      pop();
      break;
    case 'N':
      push(make(Kind::kNone));
      break;
    case 0x88:
      push_integer(1, Kind::kBool);
      break;
    case 0x89:
      push_integer(0, Kind::kBool);
      break;
    case 'J':
      push_integer(reader_.number<int32_t>("a number"));
      break;
    case 'K':
      push_integer(reader_.number<uint8_t>("a number"));
      break;
    case 'M':
      push_integer(reader_.number<uint16_t>("a number"));
      break;
    case 0x8A:
      push_long();
      break;
    case 'G': {
      PickleValue& value = make(Kind::kFloat);
      value.number = std::bit_cast<double>(__builtin_bswap64(reader_.number<uint64_t>("a number")));
      push(value);
      break;
    }
    case 'X':
      push_text(reader_.number<uint32_t>("a string's length"));
      break;
    case 'U':
      push_text(reader_.number<uint8_t>("a string's length"));
      break;
    case '}':
      push(make(Kind::kDictionary));
      break;
    case ']':
      push(make(Kind::kList));
      break;
    case ')':
      push(make(Kind::kTuple));
      break;
    case 't':
      push_tuple(pop_to_mark());
      break;
    case 0x85:
      push_tuple({pop()});
      break;
    case 0x86: {
      PickleValue* second = pop();
      push_tuple({pop(), second});
      break;
    }
    case 0x87: {
      PickleValue* third = pop();
      PickleValue* second = pop();
      push_tuple({pop(), second, third});
      break;
    }
    case 'a':
      append({pop()}, Kind::kList);
      break;
    case 'e':
      append(pop_to_mark(), Kind::kList);
      break;
    case 's': {
      PickleValue* value = pop();
      append({pop(), value}, Kind::kDictionary);
      break;
    }
    case 'u':
      append(pop_to_mark(), Kind::kDictionary);
      break;
    case 'q':
      remember(reader_.number<uint8_t>("a memo number"));
      break;
    case 'r':
      remember(reader_.number<uint32_t>("a memo number"));
      break;
    case 'h':
      recall(reader_.number<uint8_t>("a memo number"));
      break;
    case 'j':
      recall(reader_.number<uint32_t>("a memo number"));
      break;
    case 'c':
      push_global();
      break;
    case 'Q':
      push_storage();
      break;
    case 'R':
      call();
      break;
    case 'b': {  // BUILD: a module's state_dict carries attributes (_metadata), which are not needed
      pop();
      PickleValue* target = pop();
      if (target->kind != Kind::kDictionary) reader_.error("the pickle sets attributes of what is no dictionary");
      push(*target);
      break;
    }
    default: {
      char text[8];
      std::snprintf(text, sizeof(text), "0x%02x", opcode);
      reader_.error("the pickle opcode ", text, " is refused: only tensors and plain containers are read");
    }
  }
}

}  // namespace

Pickle read_pickle(std::span<const std::byte> bytes, const std::string& name) {
  return Machine(bytes, name).run();
}

}  // namespace ichigo

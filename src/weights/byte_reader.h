// A cursor over the bytes of a file that may be broken or hostile: nothing is read before its length was checked.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/error.h"

namespace ichigo {

class ByteReader {
 public:
  // `name` is the file's name, for messages.
  ByteReader(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  size_t position() const { return position_; }
  size_t remaining() const { return bytes_.size() - position_; }

  // The next `size` bytes. `what` says what is read ("a tensor's name"), for the message when the file ends before.
  std::span<const std::byte> take(uint64_t size, std::string_view what) {
    if (size > remaining())
      error(what, " needs ", size, " bytes, but only ", remaining(), " are left; is the file cut off?");
    const auto taken = bytes_.subspan(position_, size);
    position_ += size;
    return taken;
  }
  std::string_view text(uint64_t size, std::string_view what) {
    const auto taken = take(size, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  // A little-endian number.
  template <typename T>
  T number(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }
  void seek(uint64_t position) {
    if (position > bytes_.size()) error("byte ", position, " is beyond the file's ", bytes_.size());
    position_ = position;
  }

  // Throws Error "NAME, byte N: ...".
  template <typename... Args>
  [[noreturn]] void error(const Args&... args) const {
    fail(name_, ", byte ", position_, ": ", args...);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
  size_t position_ = 0;
};

}  // namespace ichigo

// JSON that comes from elsewhere, and JSON that is printed.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ichigo {

enum class JsonKeys { kLastCounts, kUnique };

// Parses a JSON object. Throws Error beginning with `where` when it is none, is nested so deeply that walking it could
// overflow the stack (64 levels), takes far more memory than text, or with kUnique has a key twice.
nlohmann::json parse_json_object(std::string_view text, const std::string& where,
                                 JsonKeys keys = JsonKeys::kLastCounts);

// In one line; bytes that are not UTF-8 become U+FFFD.
std::string json_line(const nlohmann::json& json);
std::string json_line(const nlohmann::ordered_json& json);

}  // namespace ichigo

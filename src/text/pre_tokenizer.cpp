// The patterns are facts of the published models' tokenizer.json files.
#include "text/pre_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ichigo {
namespace {

using nlohmann::json;

constexpr const char* kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDigit = R"(\p{N})";
constexpr const char* kDigits = R"(\p{N}+)";
constexpr size_t kMaxStages = 16;  // each is a compiled pattern

// Appends the stages of one node; returns whether a ByteLevel was among them.
bool append_stages(const json& node, std::vector<Regex>& stages, int depth) {
  require(node.is_object() && depth < 8, "The pre_tokenizer is not an object (or nested too deeply).");
  require(stages.size() < kMaxStages, "The pre_tokenizer has more than ", kMaxStages, " stages.");
  const std::string type = node.value("type", "");
  if (type == "Sequence") {
    bool byte_level = false;
    for (const json& child : node.at("pretokenizers")) {
      require(!byte_level, "The pre_tokenizer has a stage after ByteLevel, which is not supported.");
      byte_level = append_stages(child, stages, depth + 1);
    }
    return byte_level;
  }
  if (type == "Split") {
    const json& pattern = node.at("pattern");
    require(pattern.is_object() && pattern.contains("Regex"),
            "A Split pre-tokenizer without a Regex is not supported.");
    const std::string behavior = node.value("behavior", "");
    require(behavior == "Isolated" && !node.value("invert", false), "A Split pre-tokenizer with behavior \"", behavior,
            "\" or invert is not supported (only Isolated).");
    stages.emplace_back(pattern.at("Regex").get<std::string>());
    return false;
  }
  if (type == "Digits") {
    stages.emplace_back(node.value("individual_digits", false) ? kDigit : kDigits);
    return false;
  }
  require(type == "ByteLevel", "The pre_tokenizer \"", type,
          "\" is not supported (known: Sequence, Split, Digits, ByteLevel).");
  require(!node.value("add_prefix_space", true), "A ByteLevel pre-tokenizer with add_prefix_space is not supported.");
  if (node.value("use_regex", true)) stages.emplace_back(kGpt2Pattern);
  return true;
}

}  // namespace

PreTokenizer PreTokenizer::from_json(const json& pre_tokenizer) {
  PreTokenizer result;
  require(append_stages(pre_tokenizer, result.stages_, 0), "The pre_tokenizer has no ByteLevel stage, so it is not ",
          "byte-level BPE, the only kind supported.");
  return result;
}

PreTokenizer PreTokenizer::from_gguf_name(const std::string& name) {
  PreTokenizer result;
  if (name == "llama-bpe") {
    result.stages_.emplace_back(kLlama3Pattern);
  } else if (name == "qwen2") {
    result.stages_.emplace_back(kQwen2Pattern);
  } else if (name == "smollm") {
    result.stages_.emplace_back(kDigit);
    result.stages_.emplace_back(kGpt2Pattern);
  } else {
    require(name == "gpt-2", "The GGUF pre-tokenizer \"", name,
            "\" is not known (known: llama-bpe, qwen2, smollm, gpt-2).");
    result.stages_.emplace_back(kGpt2Pattern);
  }
  return result;
}

json PreTokenizer::to_json() const {
  json children = json::array();
  for (const Regex& stage : stages_) {
    if (stage.pattern() == kDigit || stage.pattern() == kDigits) {
      children.push_back({{"type", "Digits"}, {"individual_digits", stage.pattern() == kDigit}});
    } else {
      children.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", stage.pattern()}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
  }
  children.push_back(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", children}};
}

std::string PreTokenizer::gguf_name() const {
  for (const char* name : {"llama-bpe", "qwen2", "smollm", "gpt-2"}) {
    if (std::ranges::equal(from_gguf_name(name).stages_, stages_, {}, &Regex::pattern, &Regex::pattern)) return name;
  }
  fail("GGUF has no name for the pre-tokenizer of this vocabulary (known: llama-bpe, qwen2, smollm, gpt-2).");
}

void PreTokenizer::split(std::string_view text, const std::function<void(std::string_view)>& visit) const {
  split_from(0, text, visit);
}

void PreTokenizer::split_from(size_t stage, std::string_view text,
                              const std::function<void(std::string_view)>& visit) const {
  if (text.empty()) return;
  if (stage == stages_.size()) return visit(text);
  size_t done = 0;
  stages_[stage].for_each(text, [&](const Regex::Match& match) {
    split_from(stage + 1, text.substr(done, match.begin() - done), visit);
    split_from(stage + 1, match[0], visit);
    done = match.end();
  });
  split_from(stage + 1, text.substr(done), visit);
}

}  // namespace ichigo

// The format is that of the `tokenizers` library; GGUF keys are those of its specification ("tokenizer.ggml.*").
#include "text/tokenizer_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ichigo {
namespace {

using nlohmann::json;

// Null when the key is absent.
const json& member(const json& object, const char* key) {
  static const json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

// tokenizer.ggml.token_type
constexpr int kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

// Ids may leave gaps, but memory must stay in proportion to the file.
int64_t id_limit(size_t tokens) {
  return 2 * static_cast<int64_t>(tokens) + 1000;
}

void add_merge_text(BytePairModel& model, const std::string& text) {
  const size_t space = text.find(' ', 1);  // a token may begin with a space, but none of byte-level BPE does
  require(space != std::string::npos && space + 1 < text.size(), "The merge \"", text, "\" is not two tokens.");
  model.add_merge(text.substr(0, space), text.substr(space + 1));
}

void read_normalizer(const json& node, BytePairModel& model) {
  if (node.is_null()) return;
  const std::string type = node.value("type", "");
  if (type == "Sequence") {
    for (const json& child : node.at("normalizers")) read_normalizer(child, model);
    return;
  }
  require(type == "NFC", "The normalizer \"", type, "\" is not supported (known: NFC).");
  model.compose = true;
}

void read_model(const json& node, BytePairModel& model) {
  require(node.is_object() && node.value("type", "BPE") == "BPE", "Its model is not BPE, the only kind supported.");
  for (const char* key : {"unk_token", "continuing_subword_prefix", "end_of_word_suffix", "dropout"}) {
    const json& value = member(node, key);
    require(value.is_null() || value == "" || value == 0.0, "The BPE model's ", key, " is not supported.");
  }
  require(!node.value("byte_fallback", false), "The BPE model's byte_fallback is not supported.");
  model.ignore_merges = node.value("ignore_merges", false);
  const json& vocabulary = node.at("vocab");
  require(vocabulary.is_object(), "The BPE model's vocab is not an object.");
  model.ids.reserve(vocabulary.size());
  for (const auto& [text, id] : vocabulary.items()) {
    require(id.is_number_integer(), "The token \"", text, "\" has no integer id.");
    model.add_entry(text, id.get<int64_t>(), id_limit(vocabulary.size()));
  }
  const json& merges = node.at("merges");
  require(merges.is_array(), "The BPE model's merges are not a list.");
  for (const json& merge : merges) {
    if (merge.is_string()) {
      add_merge_text(model, merge.get_ref<const std::string&>());
    } else {
      require(merge.is_array() && merge.size() == 2, "A merge is neither a string nor a pair of strings.");
      model.add_merge(merge[0].get<std::string>(), merge[1].get<std::string>());
    }
  }
}

void read_added_tokens(const json& nodes, BytePairModel& model) {
  if (nodes.is_null()) return;
  require(nodes.is_array(), "The added_tokens are not a list.");
  const int64_t limit = id_limit(model.tokens.size() + nodes.size());
  for (const json& node : nodes) {
    const auto text = node.at("content").get<std::string>();
    require(!text.empty(), "An added token is empty.");
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      require(!node.value(flag, false), "The added token \"", text, "\" has ", flag, ", which is not supported.");
    }
    const bool special = node.value("special", false);
    model.add_added(text, node.at("id").get<int64_t>(), special, node.value("normalized", !special), limit);
  }
}

void read_post_processor(const json& node, BytePairModel& model) {
  if (node.is_null()) return;
  const std::string type = node.value("type", "");
  if (type == "ByteLevel") return;  // it only trims offsets
  if (type == "Sequence") {
    for (const json& child : node.at("processors")) read_post_processor(child, model);
    return;
  }
  require(type == "TemplateProcessing", "The post_processor \"", type,
          "\" is not supported (known: TemplateProcessing, ByteLevel, Sequence).");
  bool after = false;
  for (const json& piece : node.at("single")) {
    if (piece.contains("Sequence")) {
      require(!after, "The post_processor's template names the text twice.");
      after = true;
      continue;
    }
    const auto name = piece.at("SpecialToken").at("id").get<std::string>();
    for (const json& id : node.at("special_tokens").at(name).at("ids")) {
      const auto value = id.get<int64_t>();
      require(value >= 0 && value < static_cast<int64_t>(model.tokens.size()), "The post_processor adds the token ",
              value, ", which the vocabulary does not have.");
      (after ? model.suffix : model.prefix).push_back(value);
    }
  }
  require(after, "The post_processor's template leaves the text out.");
}

}  // namespace

BytePairModel model_from_tokenizer_json(const json& file) {
  require(file.is_object() && file.contains("model"), "It has no \"model\", so it is not a tokenizer.json.");
  BytePairModel model;
  model.pre_tokenizer = PreTokenizer::from_json(member(file, "pre_tokenizer"));
  read_normalizer(member(file, "normalizer"), model);
  const json& decoder = member(file, "decoder");
  require(decoder.is_object() && decoder.value("type", "") == "ByteLevel", "Its decoder is not ByteLevel.");
  read_model(file.at("model"), model);
  read_added_tokens(member(file, "added_tokens"), model);
  read_post_processor(member(file, "post_processor"), model);
  model.finish();
  return model;
}

BytePairModel model_from_gguf(const json& metadata) {
  const auto key = [&](const char* name) -> const json& {
    return member(metadata, (std::string("tokenizer.ggml.") + name).c_str());
  };
  require(metadata.is_object() && key("tokens").is_array() && key("merges").is_array(),
          "The GGUF metadata has no tokenizer.ggml.tokens and merges.");
  require(key("model") == "gpt2", "The GGUF tokenizer is not byte-level BPE (tokenizer.ggml.model is not \"gpt2\").");
  BytePairModel model;
  require(key("pre").is_string(),
          "The GGUF metadata has no tokenizer.ggml.pre, as in files of before May 2024, so nothing ",
          "says how its text is cut: convert the model again, or use its Hugging Face folder.");
  const auto pre = key("pre").get<std::string>();
  model.pre_tokenizer = PreTokenizer::from_gguf_name(pre);
  model.ignore_merges = pre == "llama-bpe";
  model.compose = pre == "qwen2";
  const json& tokens = key("tokens");
  const json& types = key("token_type");
  require(types.is_null() || (types.is_array() && types.size() == tokens.size()),
          "The GGUF tokenizer.ggml.token_type is not as long as the tokens.");
  const auto count = static_cast<int64_t>(tokens.size());
  model.ids.reserve(tokens.size());
  for (int64_t id = 0; id < count; ++id) {
    const auto index = static_cast<size_t>(id);
    if (!types.is_null() && types[index] == kUnused) continue;
    model.add_entry(tokens[index].get<std::string>(), id, count);
  }
  for (const json& merge : key("merges")) add_merge_text(model, merge.get<std::string>());
  for (int64_t id = 0; id < count && !types.is_null(); ++id) {
    const auto index = static_cast<size_t>(id);
    const int type = types[index].get<int>();
    if (type == kControl || type == kUserDefined) {
      model.add_added(model.tokens[index].text, id, type == kControl, false, count);
    }
  }
  const auto addition = [&](const char* flag, const char* token, bool otherwise, std::vector<int64_t>& to) {
    if (!(key(flag).is_boolean() ? key(flag).get<bool>() : otherwise)) return;
    const int64_t id = key(token).is_number_integer() ? key(token).get<int64_t>() : -1;
    require(id >= 0 && id < static_cast<int64_t>(model.tokens.size()), "The GGUF tokenizer.ggml.", token,
            " is missing or beyond the vocabulary.");
    to.push_back(id);
  };
  addition("add_bos_token", "bos_token_id", pre == "llama-bpe", model.prefix);
  addition("add_eos_token", "eos_token_id", false, model.suffix);
  model.finish();
  return model;
}

std::string to_tokenizer_json(const BytePairModel& model) {
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  json added = json::array();
  for (size_t i = 0; i < model.added.size(); ++i) {
    const auto& token = model.added[i];
    const bool normalized = model.added_normalized[i];
    added.push_back({{"id", token.id},
                     {"content", token.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", normalized},
                     {"special", token.special}});
  }
  std::sort(added.begin(), added.end(), [](const json& a, const json& b) { return a["id"] < b["id"]; });
  json post_processor = byte_level;
  if (!model.prefix.empty() || !model.suffix.empty()) {
    json single = json::array(), special_tokens = json::object();
    const auto append = [&](const std::vector<int64_t>& ids) {
      for (const int64_t id : ids) {
        const std::string& text = model.tokens[static_cast<size_t>(id)].text;
        single.push_back({{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
        special_tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
      }
    };
    append(model.prefix);
    single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
    append(model.suffix);
    json pair = single;
    pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
    post_processor = {
        {"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special_tokens}};
  }
  const json normalizer = model.compose ? json{{"type", "NFC"}} : json();

  std::string out = "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n";
  const auto write = [&](const char* key, const json& value) { out += concat('"', key, "\": ", value.dump(), ",\n"); };
  write("added_tokens", added);
  write("normalizer", normalizer);
  write("pre_tokenizer", model.pre_tokenizer.to_json());
  write("post_processor", post_processor);
  write("decoder", byte_level);
  out += "\"model\": {\n\"type\": \"BPE\",\n\"dropout\": null,\n\"unk_token\": null,\n";
  out += "\"continuing_subword_prefix\": null,\n\"end_of_word_suffix\": null,\n\"fuse_unk\": false,\n";
  write("byte_fallback", false);
  write("ignore_merges", model.ignore_merges);
  out += "\"vocab\": {";
  const char* separator = "\n";
  for (size_t id = 0; id < model.tokens.size(); ++id) {
    if (!model.tokens[id].in_model) continue;
    out += separator + json(model.tokens[id].text).dump() + ": " + std::to_string(id);
    separator = ",\n";
  }
  out += "\n},\n\"merges\": [";
  separator = "\n";
  for (const auto& [left, right] : model.merges) {
    const auto text = [&](int32_t id) -> const std::string& { return model.tokens[static_cast<size_t>(id)].text; };
    out += separator + json(text(left) + ' ' + text(right)).dump();
    separator = ",\n";
  }
  return out + "\n]\n}\n}\n";
}

json to_gguf_metadata(const BytePairModel& model, int64_t rows) {
  const auto count = static_cast<int64_t>(model.tokens.size());
  require(count <= rows, "The vocabulary has ", count, " tokens, but the model only ", rows, " embedding rows.");
  const std::string pre = model.pre_tokenizer.gguf_name();
  require(model.ignore_merges == (pre == "llama-bpe") && model.compose == (pre == "qwen2"), "GGUF's pre-tokenizer \"",
          pre, "\" implies another normalizer or ignore_merges than this vocabulary has.");
  std::vector<std::string> tokens, merges;
  std::vector<int> types;
  for (int64_t id = 0; id < rows; ++id) {
    const BytePairToken none, &token = id < count ? model.tokens[static_cast<size_t>(id)] : none;
    tokens.push_back(token.text.empty() ? concat("[PAD", id, "]") : token.text);
    types.push_back(token.text.empty() ? kUnused : token.special ? kControl : token.added ? kUserDefined : kNormal);
  }
  const auto text = [&](int32_t id) -> const std::string& { return model.tokens[static_cast<size_t>(id)].text; };
  for (const auto& [left, right] : model.merges) merges.push_back(text(left) + ' ' + text(right));
  json metadata = {{"tokenizer.ggml.model", "gpt2"},
                   {"tokenizer.ggml.pre", pre},
                   {"tokenizer.ggml.tokens", tokens},
                   {"tokenizer.ggml.token_type", types},
                   {"tokenizer.ggml.merges", merges}};
  const auto addition = [&](const char* flag, const char* id, const std::vector<int64_t>& added) {
    require(added.size() <= 1, "GGUF knows one token before and one behind a text, not ", added.size(), ".");
    metadata[concat("tokenizer.ggml.", flag)] = !added.empty();
    if (!added.empty()) metadata[concat("tokenizer.ggml.", id)] = added[0];
  };
  addition("add_bos_token", "bos_token_id", model.prefix);
  addition("add_eos_token", "eos_token_id", model.suffix);
  return metadata;
}

}  // namespace ichigo

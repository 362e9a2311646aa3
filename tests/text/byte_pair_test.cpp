// Against the `tokenizers` library's answers (golden/tokenizer) and a plain reference of the merge loop.
#include "text/byte_pair.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/atomic_file.h"
#include "base/error.h"
#include "golden.h"
#include "temporary_folder.h"

namespace ichigo {
namespace {

using nlohmann::json;

json read_json(const std::filesystem::path& path) {
  return json::parse(read_file(path));
}

// Writes `file` as a tokenizer.json and loads it.
BytePairTokenizer load(const json& file) {
  const TemporaryFolder folder;
  write_file(folder / "tokenizer.json", file.dump());
  return BytePairTokenizer::from_file(folder / "tokenizer.json");
}

std::string error_of(const std::string& text) {
  const TemporaryFolder folder;
  const auto path = folder / "hostile.json";
  write_file(path, text);
  const std::string message = test::error_of([&] { BytePairTokenizer::from_file(path); });
  EXPECT_TRUE(message.empty() || message.find("hostile.json") != std::string::npos) << message;
  return message;
}

// What llama.cpp's converter would put into GGUF metadata for a tokenizer.json.
json as_gguf(const json& file, const std::string& pre) {
  json tokens = json::array(), types = json::array(), merges = json::array();
  const auto put = [&](size_t id, const std::string& text, int type) {
    while (tokens.size() <= id) {
      tokens.push_back("[unused" + std::to_string(tokens.size()) + "]");
      types.push_back(5);
    }
    tokens[id] = text;
    types[id] = type;
  };
  for (const auto& [text, id] : file["model"]["vocab"].items()) put(id, text, 1);
  for (const auto& token : file["added_tokens"]) put(token["id"], token["content"], token["special"] ? 3 : 4);
  for (const auto& merge : file["model"]["merges"]) {
    merges.push_back(merge.is_string() ? merge : json(merge[0].get<std::string>() + " " + merge[1].get<std::string>()));
  }
  return {{"tokenizer.ggml.model", "gpt2"},      {"tokenizer.ggml.pre", pre},
          {"tokenizer.ggml.tokens", tokens},     {"tokenizer.ggml.token_type", types},
          {"tokenizer.ggml.merges", merges},     {"tokenizer.ggml.bos_token_id", 1600},
          {"tokenizer.ggml.add_bos_token", true}};
}

void expect_golden_lines(const BytePairTokenizer& tokenizer, const std::filesystem::path& lines) {
  std::ifstream stream(lines);
  std::string line;
  int count = 0;
  while (std::getline(stream, line)) {
    const json row = json::parse(line);
    const auto text = row["text"].get<std::string>();
    const auto ids = row["ids"].get<std::vector<int64_t>>();
    ASSERT_EQ(tokenizer.encode(text), ids) << text;
    ASSERT_EQ(tokenizer.encode(text, true), row["ids_with_bos"].get<std::vector<int64_t>>()) << text;
    ASSERT_EQ(tokenizer.decode(ids, false), row["decoded"].get<std::string>());
    ASSERT_EQ(tokenizer.decode(ids, true), row["decoded_skip_special"].get<std::string>());
    ++count;
  }
  EXPECT_EQ(count, 1532);
}

// A whole byte alphabet with ids 0..255 and the merges given, as a minimal tokenizer.json.
json minimal(const std::vector<std::pair<std::string, std::string>>& merges = {}) {
  json vocabulary = json::object(), merge_list = json::array();
  int next = 256;
  for (int byte = 0, id = 0; byte < 256; ++byte) {
    const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const int letter = printable ? byte : next++;
    std::string text;
    if (letter < 128) {
      text = static_cast<char>(letter);
    } else {
      text = {static_cast<char>(0xC0 | letter >> 6), static_cast<char>(0x80 | (letter & 63))};
    }
    vocabulary[text] = id++;
  }
  for (const auto& [left, right] : merges) {
    if (!vocabulary.contains(left + right)) vocabulary[left + right] = vocabulary.size();
    merge_list.push_back(left + " " + right);
  }
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merge_list}}},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"decoder", {{"type", "ByteLevel"}}}};
}

TEST(BytePair, GoldenLines) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  ICHIGO_GOLDEN_OR_SKIP(lines, "tokenizer/lines.jsonl");
  expect_golden_lines(BytePairTokenizer::from_file(file), lines);
}

TEST(BytePair, GoldenLinesAfterSaving) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  ICHIGO_GOLDEN_OR_SKIP(lines, "tokenizer/lines.jsonl");
  const TemporaryFolder folder;
  const auto path = folder / "saved.json";
  BytePairTokenizer::from_file(file).save(path);
  const auto tokenizer = BytePairTokenizer::from_file(path);
  expect_golden_lines(tokenizer, lines);
  const json saved = read_json(path), original = read_json(file);
  EXPECT_EQ(saved["model"]["vocab"], original["model"]["vocab"]);
  EXPECT_EQ(saved["added_tokens"], original["added_tokens"]);
  EXPECT_EQ(saved["model"]["merges"].size(), original["model"]["merges"].size());
}

TEST(BytePair, GoldenLinesFromGgufMetadata) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  ICHIGO_GOLDEN_OR_SKIP(lines, "tokenizer/lines.jsonl");
  const json metadata = as_gguf(read_json(file), "llama-bpe");
  expect_golden_lines(BytePairTokenizer::from_gguf(metadata), lines);
}

TEST(BytePair, GgufErrors) {
  ICHIGO_GOLDEN_OR_SKIP(file, "tokenizer/tokenizer.json");
  const json metadata = as_gguf(read_json(file), "llama-bpe");
  EXPECT_THROW(BytePairTokenizer::from_gguf(json::object()), Error);
  for (const json& patch :
       {json{{"tokenizer.ggml.pre", "tekken"}}, json{{"tokenizer.ggml.pre", "default"}},
        json{{"tokenizer.ggml.model", "llama"}}, json{{"tokenizer.ggml.token_type", json::array({1, 2})}},
        json{{"tokenizer.ggml.bos_token_id", 5000000}}, json{{"tokenizer.ggml.tokens", {1, 2, 3}}},
        json{{"tokenizer.ggml.merges", {"a"}}}, json{{"tokenizer.ggml.merges", {"zq qz"}}}}) {
    json broken = metadata;
    broken.update(patch);
    EXPECT_THROW(BytePairTokenizer::from_gguf(broken), Error) << patch;
  }
  json unnamed = metadata;  // files of before there was a name
  unnamed.erase("tokenizer.ggml.pre");
  EXPECT_CONTAINS(test::error_of([&] { BytePairTokenizer::from_gguf(unnamed); }), "convert the model again");
  // A BOS token among those that are unused, at the end.
  json unused = metadata;
  const auto last = metadata["tokenizer.ggml.tokens"].size() - 1;
  unused["tokenizer.ggml.token_type"][last] = 5;
  unused["tokenizer.ggml.bos_token_id"] = last;
  EXPECT_THROW(BytePairTokenizer::from_gguf(unused), Error);
}

TEST(BytePair, MergesAsThePlainAlgorithm) {
  // Merges over three letters, so that ties and overlaps abound; short and long words take different paths.
  std::mt19937 random(1);
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::string> known = {"a", "b", "c"};
  for (int i = 0; i < 60; ++i) {
    const std::string left = known[random() % known.size()], right = known[random() % known.size()];
    const auto pair = std::make_pair(left, right);
    if (left.size() + right.size() > 12 || std::find(merges.begin(), merges.end(), pair) != merges.end()) continue;
    merges.push_back(pair);
    known.push_back(left + right);
  }
  const auto tokenizer = load(minimal(merges));
  for (int round = 0; round < 400; ++round) {
    std::string word;
    const size_t length = round % 4 == 0 ? 30 + random() % 300 : 1 + random() % 60;
    while (word.size() < length) word += static_cast<char>('a' + random() % 3);
    std::vector<std::string> parts;
    for (const char c : word) parts.emplace_back(1, c);
    for (;;) {
      size_t best_rank = merges.size(), best = 0;
      for (size_t i = 0; i + 1 < parts.size(); ++i) {
        const auto found = std::find(merges.begin(), merges.end(), std::make_pair(parts[i], parts[i + 1]));
        const auto rank = static_cast<size_t>(found - merges.begin());
        if (rank < best_rank) best_rank = rank, best = i;
      }
      if (best_rank == merges.size()) break;
      parts[best] += parts[best + 1];
      parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    std::vector<int64_t> expected;
    for (const auto& part : parts) expected.push_back(tokenizer.id_of(part));
    ASSERT_EQ(tokenizer.encode(word), expected) << word;
    ASSERT_EQ(tokenizer.encode(word), expected) << "from the cache: " << word;
  }
}

TEST(BytePair, AnyBytesComeBack) {
  const auto tokenizer = load(minimal({{"h", "e"}, {"he", "l"}, {"Ġ", "w"}}));
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    std::string text = "hello w";
    for (size_t i = 0; i < random() % 40; ++i)
      text += static_cast<char>(random() % 3 == 0 ? random() : 'a' + random() % 9);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  const auto ids = tokenizer.encode("he\xFFhe\xE2\x82");
  ASSERT_EQ(ids.size(), 5U);
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_EQ(tokenizer.token_bytes(ids[1]), "\xFF");
  EXPECT_EQ(tokenizer.token_bytes(ids[4]), "\x82");
  EXPECT_EQ(tokenizer.token_bytes(-1) + tokenizer.token_bytes(1 << 20), "");
}

TEST(BytePair, LongRunsStayFast) {
  const auto tokenizer = load(minimal({{"a", "a"}, {"aa", "aa"}, {"aaaa", "aaaa"}, {"Ġ", "Ġ"}}));
  EXPECT_EQ(tokenizer.encode(std::string(200000, 'a')).size(), 25000U);
  EXPECT_EQ(tokenizer.encode(std::string(200000, ' ')).size(), 100000U);
}

TEST(BytePair, AddedTokens) {
  auto tokenizer = load(minimal());
  const int64_t size = tokenizer.vocabulary_size();
  tokenizer.add_tokens({"<|end|>", "<|e"}, true);
  tokenizer.add_tokens({"<|end|>more", "€", "<|e"}, false);
  EXPECT_EQ(tokenizer.vocabulary_size(), size + 4);
  EXPECT_EQ(tokenizer.added_tokens().size(), 4U);
  // Special tokens go first, so the longer plain one never matches; the leftmost and then the longest wins.
  EXPECT_EQ(tokenizer.encode("<|end|>more").front(), tokenizer.id_of("<|end|>"));
  EXPECT_EQ(tokenizer.encode("<|en").size(), 2U);
  EXPECT_EQ(tokenizer.encode("€"), std::vector<int64_t>{tokenizer.id_of("€")});
  EXPECT_EQ(tokenizer.encode("<|end|>", false, false).size(), 7U);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a<|end|>€")), "a€");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a<|end|>€"), false), "a<|end|>€");

  const TemporaryFolder folder;
  tokenizer.save(folder / "added.json");
  const auto again = BytePairTokenizer::from_file(folder / "added.json");
  EXPECT_EQ(again.encode("x<|end|>y<|e€z"), tokenizer.encode("x<|end|>y<|e€z"));
  EXPECT_EQ(again.vocabulary_size(), tokenizer.vocabulary_size());
}

TEST(BytePair, DigitsAloneAndComposition) {
  json file = minimal({{"1", "2"}, {"Ġ", "1"}, {"Ġ", "Ġ"}});
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Digits"}, {"individual_digits", true}},
                             {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}}};
  file["normalizer"] = {{"type", "NFC"}};
  const auto tokenizer = load(file);
  EXPECT_EQ(tokenizer.encode("12  12").size(), 5U);  // 1 2 (two spaces) 1 2
  EXPECT_EQ(tokenizer.encode("e\u0301"), tokenizer.encode("\u00E9"));
}

TEST(BytePair, HostileFiles) {
  const json good = minimal({{"a", "b"}});
  EXPECT_EQ(error_of(good.dump()), "");
  EXPECT_NE(error_of(""), "");
  EXPECT_NE(error_of("[]"), "");
  EXPECT_NE(error_of(std::string(100000, '[')), "");
  const std::string whole = good.dump();
  for (size_t size = 0; size < whole.size(); size += 97) EXPECT_NE(error_of(whole.substr(0, size)), "");

  json stages = json::array();
  for (int i = 0; i < 20; ++i) stages.push_back({{"type", "Digits"}, {"individual_digits", true}});
  stages.push_back(good["pre_tokenizer"]);

  const auto broken = [&](const json& patch) {
    json file = good;
    file.merge_patch(patch);
    return error_of(file.dump());
  };
  EXPECT_NE(broken({{"pre_tokenizer", {{"type", "Metaspace"}}}}).find("Metaspace"), std::string::npos);
  EXPECT_NE(broken({{"model", {{"merges", {"a zzz"}}}}}).find("\"zzz\""), std::string::npos);
  for (const json& patch :
       {json{{"pre_tokenizer", nullptr}},
        json{{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", stages}}}},
        json{{"pre_tokenizer", {{"add_prefix_space", true}}}},
        json{{"pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Isolated"}}}},
        json{{"normalizer", {{"type", "Lowercase"}}}},
        json{{"decoder", {{"type", "WordPiece"}}}},
        json{{"model", {{"type", "Unigram"}}}},
        json{{"model", {{"vocab", json::array()}}}},
        json{{"model", {{"vocab", {{"a", "x"}}}}}},
        json{{"model", {{"vocab", {{"zz", -1}}}}}},
        json{{"model", {{"vocab", {{"zz", 1000000000}}}}}},
        json{{"model", {{"vocab", {{"zz", 3}}}}}},
        json{{"model", {{"vocab", {{"zz", 1.5}}}}}},
        json{{"model", {{"vocab", {{"", 300}}}}}},
        json{{"model", {{"merges", {"ab"}}}}},
        json{{"model", {{"merges", {{"a"}}}}}},
        json{{"model", {{"merges", 7}}}},
        json{{"model", {{"unk_token", "?"}}}},
        json{{"model", {{"byte_fallback", true}}}},
        json{{"model", {{"ignore_merges", "yes"}}}},
        json{{"added_tokens", {{{"id", 300}}}}},
        json{{"added_tokens", {{{"id", 1000000}, {"content", "<x>"}}}}},
        json{{"added_tokens", {{{"id", 5}, {"content", "<x>"}}}}},
        json{{"added_tokens", {{{"id", 300}, {"content", "<x>"}, {"lstrip", true}}}}},
        json{{"post_processor", {{"type", "BertProcessing"}}}},
        json{{"post_processor", {{"type", "TemplateProcessing"}, {"single", json::array()}}}}}) {
    EXPECT_NE(broken(patch), "") << patch;
  }
}

}  // namespace
}  // namespace ichigo

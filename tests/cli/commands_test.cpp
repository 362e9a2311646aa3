// The commands at work, with a tiny random model.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "assistant/tiny_model.h"
#include "audio/audio_file.h"
#include "cli/program.h"
#include "golden.h"
#include "text/sound_vocabulary.h"

namespace ichigo {
namespace {

using nlohmann::json;
using test::run_program;

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
    test::write_tiny_model(folder_ / "model", tokenizer);
    model_ = folder_ / "model";
    recording_ = folder_ / "a.wav";
    write_audio(recording_, test::tiny_speech(1));
  }
  test::TemporaryFolder folder_;
  std::string model_, recording_;
};

TEST_F(Commands, AskPrintsTheAnswerThenOneLine) {
  const auto asked = run_program({"ask", recording_, "--model", model_, "--max-tokens", "8"});
  ASSERT_EQ(asked.code, 0) << asked.err;
  EXPECT_EQ(asked.err, "");
  const size_t last = asked.out.rfind("\nheard: \"");
  ASSERT_NE(last, std::string::npos) << asked.out;
  const std::regex line(
      R"(heard: ".*" \| first token after \d+ ms \(load \d+, mel \d+, encode \d+, prefill \d+, first step \d+\)\n)");
  EXPECT_TRUE(std::regex_match(asked.out.substr(last + 1), line)) << asked.out;
}

TEST_F(Commands, AskAsJson) {
  const auto asked = run_program({"ask", recording_, "--json", "--text", "Listen:", "--max-tokens", "8"},
                                 "ICHIGO_MODEL=" + test::quoted(model_));
  ASSERT_EQ(asked.code, 0) << asked.err;
  const json parsed = json::parse(asked.out);
  EXPECT_TRUE(parsed["answer"].is_string());
  EXPECT_TRUE(parsed["heard"].is_string());
  EXPECT_EQ(parsed["model"], model_);
  EXPECT_EQ(parsed["tokens"]["sound"], 25);
  EXPECT_LE(parsed["tokens"]["answer"], 8);
  const json& times = parsed["timing_ms"];
  double sum = 0;
  for (const char* part : {"load", "mel", "encode", "prefill", "first_step"}) sum += times[part].get<double>();
  EXPECT_NEAR(times["first_token"].get<double>(), sum, 0.5);
  EXPECT_GE(times["total"].get<double>(), times["first_token"].get<double>());
}

TEST_F(Commands, TokenizePrintsTheSoundString) {
  const auto printed = run_program({"tokenize", recording_, "--model", model_});
  ASSERT_EQ(printed.code, 0) << printed.err;
  ASSERT_TRUE(printed.out.ends_with("\n"));
  const auto codes = parse_sound_string(printed.out.substr(0, printed.out.size() - 1));
  EXPECT_EQ(codes, load_ear(find_ear(model_)).encode(read_audio(recording_)));
  // An ear needs no model.
  const auto ear = run_program({"tokenize", recording_, "--tokenizer", model_ + "/sound_tokenizer.safetensors",
                                "--whisper", model_ + "/whisper.safetensors"});
  EXPECT_EQ(ear.out, printed.out) << ear.err;
  EXPECT_COMPLAINS(run_program({"tokenize", recording_, "--model", model_, "--tokenizer",
                                model_ + "/sound_tokenizer.safetensors", "--whisper", model_ + "/whisper.safetensors"}),
                   1, "leave it out");
}

TEST_F(Commands, AModelThatHearsVectors) {
  ICHIGO_GOLDEN_OR_SKIP(tokenizer, "tokenizer/tokenizer.json");
  const std::string rival = folder_ / "rival";
  test::write_tiny_model(rival, tokenizer, {.adapter = true});
  const auto ask = [&](const std::string& model, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"ask", recording_, "--model", model, "--max-tokens", "8", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto asked = run_program(arguments);
    EXPECT_EQ(asked.code, 0) << asked.err;
    return json::parse(asked.out);
  };
  const json answer = ask(rival);
  EXPECT_EQ(answer["tokens"]["sound"], 25);
  EXPECT_NE(answer["answer"], ask(model_)["answer"]);
  // An ear that is named takes the place of the one beside the model; its adapter stays.
  EXPECT_EQ(ask(rival, {"--tokenizer", model_ + "/sound_tokenizer.safetensors", "--whisper",
                        model_ + "/whisper.safetensors"})["answer"],
            answer["answer"]);
  EXPECT_COMPLAINS(run_program({"tokenize", recording_, "--model", rival}), 1, "no sound codes");
  EXPECT_COMPLAINS(run_program({"convert", rival, folder_ / "out"}), 1, "hears through an adapter");
  std::filesystem::remove(folder_ / "rival/adapter.safetensors");
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", rival}), 1, "adapter.safetensors");
  test::write_tiny_model(rival, tokenizer, {.blocks = {16, 8, 10}, .adapter = true});
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", rival}), 1, "hears whole clips");
}

TEST_F(Commands, ChatAnswersTypedText) {
  const auto first = run_program({"chat", "Hello", "--model", model_, "--max-tokens", "8", "--temperature", "1"});
  ASSERT_EQ(first.code, 0) << first.err;
  const auto again = run_program({"chat", "Hello", "--model", model_, "--max-tokens", "8", "--temperature", "1"});
  EXPECT_EQ(first.out, again.out);
}

TEST_F(Commands, EvaluateQuestions) {
  write_file(folder_ / "list.tsv", "path\ttext\tanswer\na.wav\tWhat?\tno such words\na.wav\tWho?\tnor these\n");
  for (const char* with : {"fused", "text"}) {
    const std::string rows = folder_ / "rows.tsv";
    const auto scored = run_program({"evaluate", "questions", folder_ / "list.tsv", "--with", with, "--json", "--rows",
                                     rows, "--model", model_, "--max-tokens", "8"});
    ASSERT_EQ(scored.code, 0) << scored.err;
    EXPECT_EQ(json::parse(scored.out), (json{{"accuracy", 0.0}, {"items", 2}, {"unheard", 0}}));
    const std::string written = read_file(rows);
    EXPECT_EQ(std::ranges::count(written, '\n'), 3) << written;
    EXPECT_EQ(std::ranges::count(written, '\t'), 9) << written;
  }
  // What was written can be evaluated again, from another folder too.
  const test::TemporaryFolder elsewhere;
  const auto scored = run_program({"evaluate", "questions", folder_ / "list.tsv", "--rows", elsewhere / "rows.tsv",
                                   "--model", model_, "--max-tokens", "2"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  EXPECT_EQ(run_program({"evaluate", "questions", elsewhere / "rows.tsv", "--model", model_, "--max-tokens", "2"}).code,
            0);
  EXPECT_COMPLAINS(run_program({"evaluate", "questions", folder_ / "absent.tsv", "--model", model_}), 1, "absent.tsv");
  // The suite's options would be lost on a subcommand, and another model measured.
  EXPECT_COMPLAINS(run_program({"evaluate", "--model", model_, "questions", folder_ / "list.tsv"}), 2, "--model");
  EXPECT_COMPLAINS(
      run_program({"evaluate", "questions", folder_ / "list.tsv", "--model", model_, "--rows", folder_.path()}), 1,
      "is a folder: name a file to write");
  EXPECT_COMPLAINS(run_program({"evaluate", "questions", folder_ / "list.tsv", "--model", model_, "--rows",
                                folder_.path().string() + "/./list.tsv"}),
                   1, "is the list itself");
  EXPECT_COMPLAINS(run_program({"evaluate", "questions", folder_ / "list.tsv", "--limit", "-1"}), 2, "--limit");
}

TEST_F(Commands, EvaluateTranscripts) {
  write_file(folder_ / "list.tsv", "path\ttranscript\na.wav\tone two three four\n");
  const auto scored = run_program({"evaluate", "transcripts", folder_ / "list.tsv", "--json", "--model", model_});
  ASSERT_EQ(scored.code, 0) << scored.err;
  const json parsed = json::parse(scored.out);
  EXPECT_EQ(parsed.size(), 2U);
  EXPECT_EQ(parsed["words"], 1);  // "1234"
  EXPECT_GT(parsed["word_error_rate"], 0.0);
}

TEST_F(Commands, ConvertWritesAModelThatHearsTheSame) {
  const std::string out = folder_ / "small";
  const auto converted =
      run_program({"convert", model_, out, "--type", "q5_1", "--ear", "q8_0", "--tokenizer",
                   model_ + "/sound_tokenizer.safetensors", "--whisper", model_ + "/whisper.safetensors"});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const auto samples = read_audio(recording_);
  const auto before = load_ear(find_ear(model_)).encode(samples);
  const auto after = load_ear(find_ear(out)).encode(samples);
  ASSERT_EQ(before.size(), after.size());
  int same = 0;
  for (size_t i = 0; i < before.size(); ++i) same += before[i] == after[i] ? 1 : 0;
  EXPECT_GE(same, 20);  // of 25: 8-bit weights move a code here and there

  EXPECT_CONTAINS(run_program({"convert", model_, folder_ / "deaf"}).err, "is written without the ear");

  const FusedModel large = load_fused_model(model_, PackedTypes::parse("float32"), {});
  const FusedModel small = load_fused_model(out, PackedTypes::parse("float32"), {});
  const auto logits = [](const FusedModel& model) {
    KeyValueCache cache;
    const at::Tensor ids = at::arange(100, 130, at::kLong);
    return model.decoder->logits(model.decoder->forward(ids, cache)).view(-1);
  };
  EXPECT_GT(at::cosine_similarity(logits(large), logits(small), 0).item<double>(), 0.99);
  EXPECT_EQ(run_program({"ask", recording_, "--model", out, "--max-tokens", "4"}).code, 0);
  EXPECT_COMPLAINS(run_program({"convert", model_, model_}), 1, "is where the model itself lies");
  EXPECT_COMPLAINS(run_program({"convert", model_, folder_ / "x", "--tokenizer", model_}), 1, "belong together");
}

TEST_F(Commands, ConvertMakesAnEarThatHearsWhileSomebodySpeaks) {
  const std::string out = folder_ / "live";
  ASSERT_EQ(run_program({"convert", model_, out, "--tokenizer", model_ + "/sound_tokenizer.safetensors", "--whisper",
                         model_ + "/whisper.safetensors", "--in-blocks"})
                .code,
            0);
  const SoundTokenizer whole = load_ear(find_ear(model_)), live = load_ear(find_ear(out));
  EXPECT_FALSE(whole.streaming());
  ASSERT_TRUE(live.streaming());
  EXPECT_EQ(live.encoder().config().blocks.look_ahead, kLiveBlocks.look_ahead);
  EXPECT_EQ(live.encode(read_audio(recording_)).size(), whole.encode(read_audio(recording_)).size());
  EXPECT_EQ(run_program({"ask", recording_, "--model", out, "--max-tokens", "4"}).code, 0);
  EXPECT_COMPLAINS(run_program({"convert", model_, out, "--in-blocks"}), 1, "needs the ear");
}

TEST_F(Commands, ConvertLeavesNothingOfAnotherModel) {
  const std::string out = folder_ / "out";
  ASSERT_EQ(run_program({"convert", model_, out, "--type", "bf16", "--tokenizer",
                         model_ + "/sound_tokenizer.safetensors", "--whisper", model_ + "/whisper.safetensors"})
                .code,
            0);
  EXPECT_TRUE(std::filesystem::exists(out + "/ichigo.json"));
  for (const char* left : {"model-00002-of-00002.safetensors", "model.safetensors.index.json"}) {
    write_file(out + "/" + left, "of a larger model");
  }
  ASSERT_EQ(run_program({"convert", model_, out, "--type", "bf16"}).code, 0);
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    const std::string name = entry.path().filename();
    EXPECT_FALSE(name.starts_with("model-") || name == "model.safetensors.index.json" || name == "ichigo.json") << name;
  }
  EXPECT_COMPLAINS(run_program({"convert", model_, out, "--embedding", "f16"}), 1, "f16");
  EXPECT_COMPLAINS(run_program({"convert", model_, out, "--ear", "q8_0"}), 1, "--tokenizer and --whisper");
}

TEST_F(Commands, AModelIsNeverWrittenOverItself) {
  const std::string folder = folder_ / "gguf", gguf = folder + "/model.gguf";
  ASSERT_EQ(run_program({"convert", model_, gguf, "--to", "gguf"}).code, 0);
  for (const std::string& in : {folder, gguf}) {
    EXPECT_COMPLAINS(run_program({"convert", in, folder}), 1, "is where the model itself lies");
    EXPECT_COMPLAINS(run_program({"import", "vocabulary", in, folder}), 1, "is where the model itself lies");
    EXPECT_COMPLAINS(run_program({"convert", in, gguf, "--to", "gguf"}), 1, "is where the model itself lies");
  }
  EXPECT_COMPLAINS(run_program({"convert", model_, model_}), 1, "is where the model itself lies");
  EXPECT_COMPLAINS(run_program({"convert", model_, ""}), 1, "has no name");
  EXPECT_COMPLAINS(run_program({"convert", model_, folder_ / "x.gguf"}), 1, "add --to gguf");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST_F(Commands, InspectSaysWhatAModelHolds) {
  const auto inspected = run_program({"inspect", model_, "--json", "--tensors"});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  const json model = json::parse(inspected.out);
  EXPECT_EQ(model["kind"], "language model (Llama or Qwen2)");
  EXPECT_EQ(model["tensors"].size(), model["types"].front().get<size_t>());
  EXPECT_EQ(model["sound_tokens"], 513);
  int64_t parameters = 0;
  for (const auto& tensor : model["tensors"]) {
    int64_t count = 1;
    for (const auto& size : tensor["shape"]) count *= size.get<int64_t>();
    parameters += count;
  }
  EXPECT_EQ(model["parameters"], parameters);
  const auto ear = run_program({"inspect", model_ + "/sound_tokenizer.safetensors"});
  EXPECT_CONTAINS(ear.out, "sound tokenizer (WhisperVQ)");
  EXPECT_COMPLAINS(run_program({"inspect", recording_}), 1, "no weight file");
}

TEST_F(Commands, InspectSumsUpTrainingRows) {
  write_file(folder_ / "rows.jsonl",
             R"({"index":0,"text":"a","answer":"b","kind":"question","voice":"x","seconds":36,"sound":[1,2,3]})"
             "\n"
             R"({"index":1,"text":"a","answer":"b","kind":"dialogue","voice":"y","seconds":72,"sound":[1],)"
             R"("earlier":[{"text":"c","answer":"d","sound":[4,5]}]})"
             "\n"
             R"({"index":2,"text":"a","answer":"b","kind":"question","voice":"","seconds":0,"sound":[]})"
             "\n");
  const auto inspected = run_program({"inspect", folder_ / "rows.jsonl", "--json"});
  ASSERT_EQ(inspected.code, 0) << inspected.err;
  const json rows = json::parse(inspected.out);
  EXPECT_EQ(rows["rows"], 3);
  EXPECT_EQ(rows["kinds"], (json{{"question", 2}, {"dialogue", 1}}));
  EXPECT_EQ(rows["hours"], 0.03);
  EXPECT_EQ(rows["spoken"], 2);
  EXPECT_EQ(rows["turns"], 4);
  EXPECT_EQ(rows["dialogues"], 1);
  EXPECT_EQ(rows["sound_codes"], 6);
  EXPECT_EQ(rows["voices"], 2);
  EXPECT_CONTAINS(run_program({"inspect", folder_ / "rows.jsonl"}).out, "1 dialogue, 2 question");
  write_file(folder_ / "rows.jsonl", "{}\n");
  EXPECT_COMPLAINS(run_program({"inspect", folder_ / "rows.jsonl"}), 1, "rows.jsonl:1: not a row");
}

TEST_F(Commands, AGgufFileHearsWithTheEarThatIsNamed) {
  const std::string gguf = folder_ / "decoder.gguf";
  ASSERT_EQ(run_program({"convert", model_, gguf, "--to", "gguf", "--type", "bf16"}).code, 0);
  const std::vector<std::string> ear = {"--tokenizer", model_ + "/sound_tokenizer.safetensors", "--whisper",
                                        model_ + "/whisper.safetensors"};
  const auto answer = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"ask", recording_, "--json", "--max-tokens", "8", "--model", model};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto asked = run_program(arguments);
    EXPECT_EQ(asked.code, 0) << asked.err;
    return asked.code == 0 ? json::parse(asked.out)["answer"] : json();
  };
  EXPECT_EQ(answer(gguf, ear), answer(model_, {}));
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", gguf}), 1, "name one with --tokenizer and --whisper");
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", gguf, ear[0], ear[1]}), 1, "name both");
  // Or with the one that ichigo.json names beside it.
  for (const char* name : {"ichigo.json", "sound_tokenizer.safetensors", "whisper.safetensors"}) {
    std::filesystem::copy(model_ + "/" + name, folder_ / name);
  }
  EXPECT_EQ(answer(gguf, {}), answer(model_, {}));
}

TEST_F(Commands, AModelWithAMissingPartIsNamed) {
  std::filesystem::remove(folder_ / "model/whisper.safetensors");
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", model_}), 1, "whisper.safetensors");
  std::filesystem::remove(folder_ / "model/ichigo.json");
  EXPECT_COMPLAINS(run_program({"ask", recording_, "--model", model_}), 1, "cannot hear");
  EXPECT_COMPLAINS(run_program({"tokenize", recording_, "--model", model_}), 1, "ichigo.json");
  const std::string weights = read_file(folder_ / "model/model.safetensors");
  write_file(folder_ / "model/model.safetensors", weights.substr(0, weights.size() / 2));
  EXPECT_COMPLAINS(run_program({"chat", "Hi", "--model", model_}), 1, "model.safetensors");
  std::filesystem::remove(folder_ / "model/tokenizer.json");
  EXPECT_COMPLAINS(run_program({"chat", "Hi", "--model", model_}), 1, "tokenizer.json");
}

}  // namespace
}  // namespace ichigo

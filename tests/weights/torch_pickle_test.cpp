#include "weights/torch_pickle.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "files.h"
#include "golden.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

TEST(TorchPickle, WhisperEncoderIsTheHuggingFaceOne) {
  ICHIGO_GOLDEN_OR_SKIP(path, "whisper/tiny-random.pt");
  ICHIGO_GOLDEN_OR_SKIP(encoder_path, "whisper/tiny-random_encoder_only.pt");
  ICHIGO_GOLDEN_OR_SKIP(other_path, "whisper/hugging_face/model.safetensors");
  const auto file = open_torch_pickle(path);
  const auto encoder = open_torch_pickle(encoder_path);
  const auto other = open_safetensors(other_path);
  EXPECT_EQ(file->object()["dims"]["n_vocab"], 51865);
  EXPECT_EQ(file->tensors().size(), 104U);
  const auto expected = other->load("model.encoder.layers.1.self_attn.q_proj.weight").to(at::kFloat);
  EXPECT_TRUE(file->load("encoder.blocks.1.attn.query.weight").to(at::kFloat).equal(expected));
  EXPECT_TRUE(encoder->load("blocks.1.attn.query.weight").to(at::kFloat).equal(expected));
  EXPECT_TRUE(file->load_as("decoder.token_embedding.weight", at::kFloat)
                  .equal(other->load("model.decoder.embed_tokens.weight").to(at::kFloat)));
}

TEST(TorchPickle, WhisperVqFilesOpen) {
  ICHIGO_GOLDEN_OR_SKIP(path, "whispervq/seven_language.model");
  ICHIGO_GOLDEN_OR_SKIP(merged_path, "whispervq/merged_2561.pth");
  const auto file = open_weights(path);
  const auto& object = dynamic_cast<const TorchPickle&>(*file).object();
  EXPECT_EQ(object["config"]["vq_codes"], 512);
  EXPECT_EQ(object["config"]["whisper_model_name"], "medium");
  EXPECT_EQ(object["tunables"]["lr0"], 0.0009);
  EXPECT_EQ(object["tunables"]["downsample_mean"], true);
  EXPECT_TRUE(object["tunables"]["output_mult"].is_null());
  EXPECT_EQ(file->tensors().at("rq.layers.0._codebook.embed").shape, (std::vector<int64_t>{1, 513, 64}));
  // Codes of a cosine codebook have the length 1: what was read are the numbers that were written.
  const at::Tensor lengths = file->load("rq.layers.0._codebook.embed").norm(2, -1);
  EXPECT_LT((lengths - 1).abs().max().item<float>(), 1e-5);
  const auto merged = open_torch_pickle(merged_path);
  EXPECT_EQ(merged->object()["pytorch-lightning_version"], "2.4.0");
  EXPECT_EQ(merged->tensors().at("model._codebook_usage").shape, (std::vector<int64_t>{2561}));
}

// The made-up file of torch.save: a zip with data.pkl and one storage of 6 floats 0..5.
std::string zip(const std::vector<std::pair<std::string, std::string>>& entries, uint16_t method = 0) {
  std::string file, directory;
  for (const auto& [name, content] : entries) {
    const auto size = static_cast<uint32_t>(content.size());
    const std::string common = test::bytes(uint16_t{0}) + test::bytes(method) + std::string(8, '\0') +
                               test::bytes(size) + test::bytes(size) + test::bytes(static_cast<uint16_t>(name.size())) +
                               test::bytes(uint16_t{0});
    directory += "PK\1\2" + std::string("\0\0\0\0", 4) + common + std::string(10, '\0') +
                 test::bytes(static_cast<uint32_t>(file.size())) + name;
    file += "PK\3\4" + std::string("\0\0", 2) + common + name + content;
  }
  const auto count = static_cast<uint16_t>(entries.size());
  return file + directory + "PK\5\6" + std::string(4, '\0') + test::bytes(count) + test::bytes(count) +
         test::bytes(static_cast<uint32_t>(directory.size())) + test::bytes(static_cast<uint32_t>(file.size())) +
         std::string(2, '\0');
}

std::string saved(const std::string& pickle) {
  std::string data;
  for (int i = 0; i < 6; ++i) data += test::bytes(static_cast<float>(i));
  return zip({{"m/data.pkl", pickle}, {"m/data/0", data}});
}

std::string text(const std::string& value) {
  return "X" + test::bytes(static_cast<uint32_t>(value.size())) + value;
}

// {"a": tensor} of the given offset, sizes and strides (pickled tuples' contents).
std::string with_tensor(const std::string& offset, const std::string& sizes, const std::string& strides,
                        const std::string& key = "0", const std::string& storage = "FloatStorage") {
  return "\x80\2}" + text("a") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + storage +
         "\n" + text(key) + text("cpu") + "K\6tQ" + offset + "(" + sizes + "t(" + strides + "t\x89)tRs.";
}

TEST(TorchPickle, TensorsMayBeStrided) {
  const test::TemporaryFolder folder;
  const std::string zero("K\0", 2);
  write_file(folder / "t.pt", saved(with_tensor("K\1", "K\2K\2", "K\1K\2")));
  EXPECT_TRUE(
      open_torch_pickle(folder / "t.pt")->load("a").equal(at::tensor({1.0F, 3.0F, 2.0F, 4.0F}).reshape({2, 2})));
  write_file(folder / "v.pt", saved(with_tensor(zero, "K\6", "K\1")));
  EXPECT_TRUE(open_torch_pickle(folder / "v.pt")->load("a").equal(at::arange(6).to(at::kFloat)));
}

void expect_refused(const std::string& content, const std::string& part) {
  const test::TemporaryFolder folder;
  write_file(folder / "m.pt", content);
  test::expect_error([&] { open_torch_pickle(folder / "m.pt"); }, part);
}

TEST(TorchPickle, RefusesTensorsBeyondTheirStorage) {
  const std::string zero("K\0", 2);
  expect_refused(saved(with_tensor(zero, "K\7", "K\1")), "does not fit");
  expect_refused(saved(with_tensor("K\1", "K\6", "K\1")), "does not fit");
  expect_refused(saved(with_tensor(zero, "K\2K\3", "K\4K\1")), "reaches beyond");
  expect_refused(saved(with_tensor(zero, "J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f", "K\1K\1K\1")),
                 "impossible");
  expect_refused(saved(with_tensor(zero, "K\2", "J\xff\xff\xff\xff")), "stride");
  expect_refused(saved(with_tensor("J\xff\xff\xff\xff", "K\2", "K\1")), "does not fit");
  expect_refused(saved(with_tensor(zero, "K\2", "K\1K\1")), "does not fit");
  expect_refused(saved(with_tensor(zero, "K\2", "K\1", "1")), "m/data/1");
  expect_refused(saved(with_tensor(zero, "K\2", "K\1", "0", "QuaternionStorage")), "torch.QuaternionStorage");
}

TEST(TorchPickle, RefusesCodeByName) {
  expect_refused(saved("\x80\2cos\nsystem\n" + text("true") + "\x85R."), "os.system");
  expect_refused(saved("\x80\2ctorch._utils\n_rebuild_anything\n."), "torch._utils._rebuild_anything");
  expect_refused(saved("\x80\2ctorch\nFloatStorage\n)R."), "torch.FloatStorage");
  expect_refused(saved("\x80\2}\x81."), "opcode 0x81");
  expect_refused(saved("\x80\2ios\nsystem\n."), "opcode 0x69");
  expect_refused(saved("\x80\5}."), "protocol 5");
}

TEST(TorchPickle, RefusesBrokenPickles) {
  expect_refused(saved(""), "cut off");
  expect_refused(saved("\x80\2"), "cut off");
  expect_refused(saved("\x80\2."), "empty stack");
  expect_refused(saved("\x80\2(."), "empty stack");
  expect_refused(saved("\x80\2t."), "no mark");
  expect_refused(saved("\x80\2h\7."), "number 7");
  expect_refused(saved("\x80\2K\1."), "not hold a dictionary");
  expect_refused(saved("\x80\2}X" + test::bytes(uint32_t{0xFFFFFFF0}) + "a."), "cut off");
  expect_refused(saved("\x80\2}(K\1u."), "no value");
  expect_refused(saved("\x80\2}}K\1s."), "neither a string");
  expect_refused(saved("\x80\2}q\1" + text("a") + "h\1s."), "deeper");
  // Each list holds the one before ten times: 10^30 values out of a few hundred bytes.
  std::string bomb = "]q" + std::string(1, '\0') + "0";
  for (char level = 1; level <= 29; ++level) {
    bomb += "](";
    for (int i = 0; i < 10; ++i) bomb += "h" + std::string(1, static_cast<char>(level - 1));
    bomb += "eq" + std::string(1, level) + "0";
  }
  expect_refused(saved("\x80\2" + bomb + "}" + text("a") + "h\35s."), "too large");
}

TEST(TorchPickle, SharedPartsDoNotMultiply) {
  // One text of 100 kB, recalled a thousand times.
  std::string list = text(std::string(100000, 'x')) + "q" + std::string(1, '\0') + "0](";
  for (int i = 0; i < 1000; ++i) list += "h" + std::string(1, '\0');
  expect_refused(saved("\x80\2}" + text("a") + list + "es."), "too large");
  // Objects of one byte each.
  const auto many = [](std::string_view codes, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += codes;
    return text;
  };
  expect_refused(saved("\x80\2" + many("N0", 1100000) + "."), "more than 1000000 objects");
  expect_refused(saved("\x80\2" + many("N", 70000) + "."), "stack is deeper than 65536");
  expect_refused(saved("\x80\2" + many("(", 70000) + "."), "stack is deeper than 65536");
  expect_refused(saved("\x80\2]Nq" + std::string(1, '\0') + "a" + many("h" + std::string(1, '\0') + "a", 270000) + "."),
                 "hold more than 262144 objects");
  const std::string zero("K\0", 2), ones = "K\1K\1K\1K\1K\1K\1K\1K\1K\1";
  expect_refused(saved(with_tensor(zero, ones, ones)), "9 dimensions");
}

TEST(TorchPickle, RefusesBrokenZips) {
  const std::string pickle = with_tensor("K\1", "K\2", "K\1");
  const std::string whole = saved(pickle);
  expect_refused("", "end record");
  for (const size_t cut : {1U, 22U, 100U}) expect_refused(whole.substr(0, whole.size() - cut), "cut off");
  expect_refused(whole.substr(4), "no entry");
  expect_refused(zip({{"m/data.pkl", pickle}}, 8), "compressed");
  expect_refused(zip({{"m/data.pkl", pickle}, {"m/data.pkl", pickle}}), "twice");
  expect_refused(zip({{"m/data.pkl", pickle}, {"n/data.pkl", pickle}}), "two pickles");
  expect_refused(zip({{"readme", "x"}}), "no data.pkl");
  expect_refused(zip({{"m/data.pkl", pickle}, {"m/byteorder", "big"}}), "big-endian");
}

}  // namespace
}  // namespace ichigo

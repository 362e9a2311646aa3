#include "audio/log_mel.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "audio/golden_tensors.h"
#include "base/error.h"
#include "base/random.h"
#include "golden.h"

namespace ichigo {
namespace {

double difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  if (a.sizes() != b.sizes()) return INFINITY;
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

std::vector<float> noise(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> samples(count);
  for (auto& sample : samples) sample = static_cast<float>(0.1 * random.normal());
  return samples;
}

// The definition, term by term, in double precision.
at::Tensor plain_log_mel(std::vector<float> samples, int bands) {
  const auto frames = static_cast<int64_t>(samples.size()) / 160;
  if (samples.size() < 201) samples.resize(201);
  const auto count = static_cast<int64_t>(samples.size());
  const at::Tensor filters = mel_filters(bands).to(at::kDouble);
  at::Tensor power = at::zeros({201, frames}, at::kDouble);
  for (int64_t frame = 0; frame < frames; ++frame) {
    for (int bin = 0; bin <= 200; ++bin) {
      double real = 0;
      double imaginary = 0;
      for (int i = 0; i < 400; ++i) {
        int64_t at = frame * 160 + i - 200;
        if (at < 0) at = -at;
        if (at >= count) at = 2 * (count - 1) - at;
        const double value = samples[at] * (0.5 - 0.5 * std::cos(2 * M_PI * i / 400));
        real += value * std::cos(2 * M_PI * bin * i / 400);
        imaginary += value * std::sin(2 * M_PI * bin * i / 400);
      }
      power[bin][frame] = real * real + imaginary * imaginary;
    }
  }
  const at::Tensor log = filters.matmul(power).clamp_min(1e-10).log10();
  return ((at::maximum(log, log.max() - 8) + 4) / 4).to(at::kFloat);
}

TEST(LogMel, FiltersAreWhispers) {
  ICHIGO_GOLDEN_OR_SKIP(path, "log_mel/filters.safetensors");
  auto golden = test::read_tensors(path);
  EXPECT_LE(difference(mel_filters(80), golden.at("mel80")), 1e-6);
  EXPECT_LE(difference(mel_filters(128), golden.at("mel128")), 1e-6);
}

TEST(LogMel, ClipsAreWhispers) {
  ICHIGO_GOLDEN_OR_SKIP(filters, "log_mel/filters.safetensors");
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(filters.parent_path())) {
    auto golden = test::read_tensors(entry.path());
    if (!golden.contains("audio")) continue;
    const auto samples = test::to_vector(golden.at("audio"));
    for (const int bands : {80, 128}) {
      const std::string name = "mel" + std::to_string(bands);
      if (!golden.contains(name)) continue;
      EXPECT_LE(difference(log_mel(samples, bands), golden.at(name)), 1e-4) << entry.path() << " " << bands;
      ++compared;
    }
  }
  EXPECT_GE(compared, 4);
}

TEST(LogMel, FollowsTheDefinitionAtEveryLength) {
  for (const size_t count : {160, 200, 201, 202, 319, 320, 399, 400, 401, 639, 640, 1000}) {
    const auto samples = noise(count, count);
    EXPECT_LE(difference(log_mel(samples), plain_log_mel(samples, 80)), 1e-4) << count;
  }
}

TEST(LogMel, ClipsWithoutAFrameAreEmpty) {
  for (const size_t count : {0, 1, 159}) {
    EXPECT_EQ(log_mel(noise(count, 1), 128).sizes(), (std::vector<int64_t>{128, 0})) << count;
  }
}

TEST(LogMel, SilenceIsWhatIchigoPadsWith) {
  const at::Tensor mel = log_mel(std::vector<float>(16000));
  EXPECT_LE((mel - kSilentLogMel).abs().max().item<float>(), 1e-6);
}

TEST(LogMel, RefusesAnImpossibleNumberOfBands) {
  EXPECT_THROW(log_mel(noise(400, 1), 0), Error);
}

TEST(LogMel, SeveralThreadsGetTheSameNumbers) {
  const auto samples = noise(48000, 5);
  const at::Tensor expected = log_mel(samples);
  std::vector<at::Tensor> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = log_mel(samples); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_LE(difference(result, expected), 1e-6);
}

TEST(StreamingLogMel, ChunksOfAnySizeGiveTheWholeFilesNumbers) {
  for (const size_t count : {0, 1, 160, 200, 201, 250, 400, 640, 12345, 64000}) {
    const auto samples = noise(count, count);
    const at::Tensor expected = log_mel(samples);
    for (const size_t largest : {1, 7, 160, 333, 5000}) {
      if (largest == 1 && count > 1000) continue;
      Random random(largest);
      StreamingLogMel stream;
      std::vector<at::Tensor> parts;
      for (size_t at = 0; at < count;) {
        const size_t size = std::min(count - at, random.below(largest + 1));
        stream.accept(std::span(samples).subspan(at, size));
        at += size;
        parts.push_back(stream.take());
      }
      stream.finish();
      parts.push_back(stream.take());
      EXPECT_LE(difference(StreamingLogMel::normalize(at::cat(parts, 1)), expected), 1e-5) << count << " " << largest;
    }
  }
}

TEST(StreamingLogMel, FramesComeAsSoonAsTheyAreSettled) {
  StreamingLogMel stream;
  stream.accept(noise(199, 1));
  EXPECT_EQ(stream.take().size(1), 0);
  stream.accept(noise(2, 2));
  EXPECT_EQ(stream.take().size(1), 1);
  stream.accept(noise(159, 3));
  EXPECT_EQ(stream.take().size(1), 1);
  stream.finish();
  EXPECT_EQ(stream.take().size(1), 0);
  EXPECT_THROW(stream.accept(noise(1, 4)), Error);
}

TEST(StreamingLogMel, TheFloorSoFarIsTheLoudestFramesWhateverTheChunks) {
  at::Tensor power = at::full({2, 4}, -20.0F);
  power[0] = at::tensor({-3.0F, 2.0F, 0.5F, 3.0F});
  float loudest = 0;
  const at::Tensor whole = StreamingLogMel::normalize_so_far(power, loudest);
  EXPECT_EQ(loudest, 3);
  // Until something is louder, 1.
  const at::Tensor floors = at::tensor({-7.0F, -6.0F, -6.0F, -5.0F});
  EXPECT_LE(difference(whole, (at::stack({power[0], floors}) + 4) / 4), 1e-6);
  loudest = 0;
  std::vector<at::Tensor> parts;
  for (const auto& part : power.split_with_sizes({1, 0, 2, 1}, 1))
    parts.push_back(StreamingLogMel::normalize_so_far(part, loudest));
  EXPECT_EQ(difference(at::cat(parts, 1), whole), 0);
  // Behind the loudest frame it is the whole clip's.
  EXPECT_EQ(difference(whole.slice(1, 3), StreamingLogMel::normalize(power).slice(1, 3)), 0);
}

}  // namespace
}  // namespace ichigo

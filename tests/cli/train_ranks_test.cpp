// `ichigo train` by several processes: the same losses as one, stopping and going on with another number of them, and
// what the others say when one is lost or does not belong.
#include <gtest/gtest.h>
#include <spawn.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "cli/program.h"
#include "free_port.h"
#include "tiny_decoder.h"
#include "weights/safetensors.h"

namespace ichigo {
namespace {

using Clock = std::chrono::steady_clock;

class TrainRanksTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_decoder(folder_.path());
    port_ = test::free_port();
  }

  struct Rank {
    pid_t process = 0;
    std::filesystem::path err;
  };
  struct Ended {
    int code = -1;
    std::string err;
  };

  // `setting`: NAME=VALUE pairs, behind the usual ones.
  Rank start(int rank, int ranks, const std::filesystem::path& recipe, const std::vector<std::string>& arguments = {},
             const std::string& setting = "") {
    const auto err = folder_ / concat("err-", ++started_);
    std::string command = concat("exec env RANK=", rank, " WORLD_SIZE=", ranks,
                                 " MASTER_ADDR=127.0.0.1 MASTER_PORT=", port_, " ICHIGO_RANK_TIMEOUT=30 ", setting, " ",
                                 test::quoted(ICHIGO_PROGRAM), " train --threads 1 ", test::quoted(recipe));
    for (const auto& argument : arguments) command += " " + test::quoted(argument);
    command += " 2>" + test::quoted(err);
    std::string shell = "sh", option = "-c";
    char* const argv[] = {shell.data(), option.data(), command.data(), nullptr};
    pid_t process = 0;
    EXPECT_EQ(::posix_spawn(&process, "/bin/sh", nullptr, nullptr, argv, environ), 0);
    return {process, err};
  }

  static Ended wait(const Rank& rank, double seconds = 60) {
    const auto begin = Clock::now();
    int status = 0;
    while (::waitpid(rank.process, &status, WNOHANG) == 0) {
      if (std::chrono::duration<double>(Clock::now() - begin).count() > seconds) {
        ::kill(rank.process, SIGKILL);
        ::waitpid(rank.process, &status, 0);
        ADD_FAILURE() << "still running after " << seconds << " s: " << read_file(rank.err);
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(rank.err)};
  }

  void train(int ranks, const std::filesystem::path& recipe, const std::vector<std::string>& arguments = {}) {
    port_ = test::free_port();
    std::vector<Rank> group;
    for (int rank = 0; rank < ranks; ++rank) group.push_back(start(rank, ranks, recipe, arguments));
    for (const Rank& rank : group) {
      const Ended ended = wait(rank);
      EXPECT_EQ(ended.code, 0) << ended.err;
    }
  }

  std::filesystem::path recipe(const std::string& output, const std::string& more = "") {
    return test::tiny_recipe(folder_.path(), output, more);
  }

  // Of two runs, relative.
  void expect_same_metrics(const std::string& run, const std::string& other, double tolerance) {
    const auto lines = test::metrics_of(folder_ / run), others = test::metrics_of(folder_ / other);
    ASSERT_EQ(lines.size(), 8U);
    ASSERT_EQ(others.size(), lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      for (const char* key : {"loss", "letter_loss", "validation_loss", "gradient_norm"}) {
        ASSERT_EQ(lines[i].contains(key), others[i].contains(key));
        if (!lines[i].contains(key)) continue;
        const double value = lines[i][key], expected = others[i][key];
        EXPECT_NEAR(value, expected, tolerance * expected) << key << " of step " << i;
        worst_ = std::max(worst_, std::abs(value - expected) / expected);
      }
      EXPECT_EQ(lines[i].at("tokens"), others[i].at("tokens"));
    }
  }

  // One that does not come to its end.
  std::filesystem::path endless_recipe(const std::string& output) {
    return test::tiny_recipe(folder_.path(), output, "", 1000000);
  }

  void wait_for_steps(const std::string& run, size_t steps) const {
    const auto begin = Clock::now();
    while (test::metrics_of(folder_ / run).size() < steps && Clock::now() - begin < std::chrono::seconds(60))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_GE(test::metrics_of(folder_ / run).size(), steps);
  }

  std::string validation() const {
    return concat("validation_steps: 4\nvalidation_tokens: 150\nvalidation:\n  - {rows: ",
                  (folder_ / "rows.jsonl").string(), ", task: answer}\n");
  }

  test::TemporaryFolder folder_;
  int port_ = 0, started_ = 0;
  double worst_ = 0;
};

TEST_F(TrainRanksTest, GiveTheLossesOfOne) {
  const std::string float32 = "bf16: false\nletter_loss: {weight: 0.5, layer: 0}\n" + validation();
  train(1, recipe("one", float32));
  train(2, recipe("two", float32));
  train(3, recipe("three", float32 + "activation_checkpointing: true\n"));
  expect_same_metrics("two", "one", 1e-5);
  expect_same_metrics("three", "one", 1e-5);
  const auto one = open_safetensors(folder_ / "one/checkpoint-000008/state.safetensors");
  const auto three = open_safetensors(folder_ / "three/checkpoint-000008/state.safetensors");
  ASSERT_EQ(one->tensors().size(), three->tensors().size());
  for (const auto& [name, info] : one->tensors()) {
    const auto expected = one->load(name), value = three->load(name);
    ASSERT_EQ(expected.sizes(), value.sizes()) << name;
    EXPECT_LE((value - expected).abs().max().item<double>(), 1e-3) << name;
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "three/model/config.json"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "three/letter_loss.safetensors"));
  std::printf("float32: losses and norms of 2 and 3 ranks within %.1e of one rank's\n", worst_);
}

TEST_F(TrainRanksTest, GiveTheLossesOfOneInBfloat16) {
  train(1, recipe("one", validation()));
  train(2, recipe("two", validation()));
  expect_same_metrics("two", "one", 2e-3);
  std::printf("bfloat16: losses and norms of 2 ranks within %.1e of one rank's\n", worst_);
}

TEST_F(TrainRanksTest, ShareAnAdapter) {
  const std::string adapter = "bf16: false\n" + test::write_tiny_ear(folder_.path());
  train(1, recipe("one", adapter));
  train(2, recipe("two", adapter), {"--steps", "3"});
  train(3, recipe("two", adapter));
  expect_same_metrics("two", "one", 1e-5);
  const auto one = open_safetensors(folder_ / "one/model/adapter.safetensors");
  const auto two = open_safetensors(folder_ / "two/model/adapter.safetensors");
  for (const auto& [name, info] : one->tensors()) {
    EXPECT_LE((two->load(name) - one->load(name)).abs().max().item<double>(), 1e-3) << name;
  }
}

TEST_F(TrainRanksTest, AStepMayHaveFewerBatchesThanRanks) {
  train(1, test::tiny_recipe(folder_.path(), "one", "bf16: false\n", 8, 1000));
  train(2, test::tiny_recipe(folder_.path(), "two", "bf16: false\n", 8, 1000));
  expect_same_metrics("two", "one", 1e-5);
}

TEST_F(TrainRanksTest, GoOnWithAnotherNumber) {
  train(1, recipe("whole", "bf16: false\n"));
  train(2, recipe("fewer", "bf16: false\n"), {"--steps", "3"});
  train(1, recipe("fewer", "bf16: false\n"));
  train(1, recipe("more", "bf16: false\n"), {"--steps", "3"});
  train(3, recipe("more", "bf16: false\n"), {"--steps", "2"});
  train(2, recipe("more", "bf16: false\n"));
  expect_same_metrics("fewer", "whole", 1e-5);
  expect_same_metrics("more", "whole", 1e-5);
}

TEST_F(TrainRanksTest, AllEndWhenOneIsLost) {
  for (const int lost : {0, 2}) {
    const std::string name = concat("lost-", lost);
    const auto path = endless_recipe(name);
    port_ = test::free_port();
    std::vector<Rank> group;
    for (int rank = 0; rank < 3; ++rank) group.push_back(start(rank, 3, path));
    wait_for_steps(name, 5);
    ::kill(group[lost].process, SIGKILL);
    const auto killed = Clock::now();
    for (int rank = 0; rank < 3; ++rank) {
      const Ended ended = wait(group[rank], 30);
      if (rank == lost) continue;
      EXPECT_EQ(ended.code, 1);
      const std::string complaint = ended.err.substr(ended.err.find("ichigo: "));
      EXPECT_CONTAINS(complaint, concat("ichigo: rank ", rank, " of 3 lost another rank"));
      EXPECT_EQ(complaint.find('\n'), complaint.size() - 1) << complaint;
    }
    std::printf("rank %d killed: the others ended after %.2f s\n", lost,
                std::chrono::duration<double>(Clock::now() - killed).count());
    // What was saved is whole.
    train(1, path, {"--steps", "1"});
  }
}

TEST_F(TrainRanksTest, ASignalToOneStopsAllWithACheckpoint) {
  const auto path = endless_recipe("asked");
  const Rank first = start(0, 2, path), second = start(1, 2, path);
  wait_for_steps("asked", 3);
  ::kill(second.process, SIGTERM);
  for (const Rank& rank : {first, second}) {
    const Ended ended = wait(rank);
    EXPECT_EQ(ended.code, 1);  // a script must not go on as if it were done
    EXPECT_CONTAINS(ended.err, "ichigo: stopped; run the same command again to go on");
  }
  const auto steps = std::to_string(test::metrics_of(folder_ / "asked").size());
  const auto name = "checkpoint-" + std::string(6 - std::min<size_t>(6, steps.size()), '0') + steps;
  EXPECT_TRUE(std::filesystem::exists(folder_ / ("asked/" + name))) << name;
  train(1, path, {"--steps", "1"});
}

TEST_F(TrainRanksTest, AllEndWhenOneHangs) {
  const auto path = endless_recipe("hangs");
  std::vector<Rank> group;
  for (int rank = 0; rank < 2; ++rank) group.push_back(start(rank, 2, path, {}, "ICHIGO_RANK_TIMEOUT=5"));
  wait_for_steps("hangs", 3);
  ::kill(group[1].process, SIGSTOP);
  const Ended ended = wait(group[0], 30);
  EXPECT_EQ(ended.code, 1);
  EXPECT_CONTAINS(ended.err, "ichigo: rank 0 of 2 lost another rank");
  ::kill(group[1].process, SIGKILL);
  wait(group[1]);
}

TEST_F(TrainRanksTest, RefuseWhatDoesNotBelong) {
  const auto complaint = [&](const Rank& rank, const std::string& part) {
    const Ended ended = wait(rank);
    EXPECT_EQ(ended.code, 1);
    EXPECT_TRUE(ended.err.starts_with("ichigo: ")) << ended.err;
    EXPECT_EQ(ended.err.find('\n'), ended.err.size() - 1) << ended.err;
    EXPECT_CONTAINS(ended.err, part);
  };
  const auto good = recipe("run");
  complaint(start(2, 2, good), "RANK must be a number from 0 to 1");
  complaint(start(1, 2, good, {}, "ICHIGO_RANK_TIMEOUT=2"), "cannot reach rank 0 at 127.0.0.1");
  complaint(start(0, 2, good, {}, "ICHIGO_RANK_TIMEOUT=2"), "rank 1 did not join");
  complaint(start(0, 2, good, {}, "MASTER_ADDR=no.such.host.invalid ICHIGO_RANK_TIMEOUT=2"), "no.such.host.invalid");
  {
    const Rank first = start(0, 2, good), second = start(1, 2, recipe("other", "seed: 2\n"));
    complaint(first, "rank 1 has another recipe than rank 0");
    complaint(second, "rank 1 has another recipe than rank 0");
  }
  {
    port_ = test::free_port();
    const Rank first = start(0, 2, good, {}, "ICHIGO_RANK_TIMEOUT=60");
    for (int tries = 0; tries < 1000 && !test::listens(port_); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    complaint(start(1, 3, good), "WORLD_SIZE is 3 here but 2 on another rank");
    ::kill(first.process, SIGKILL);
    wait(first);
  }
  write_file(folder_ / "tokenizer.yaml", "train: sound_tokenizer\noutput: " + (folder_ / "t").string() + "\n");
  complaint(start(0, 2, folder_ / "tokenizer.yaml"), "only a decoder is trained by several ranks");
}

}  // namespace
}  // namespace ichigo

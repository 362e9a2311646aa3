#include "training/streaming_tokenizer_recipe.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/recipe.h"
#include "weights/base_weights.h"

namespace ichigo {

StreamingTokenizerRecipe StreamingTokenizerRecipe::read(const std::filesystem::path& path) {
  RecipeNode node = read_recipe(path);
  StreamingTokenizerRecipe recipe;
  require(node.text("train") == "streaming_tokenizer", path.string(), ": \"train\" must be streaming_tokenizer");
  recipe.output = node.path("output");
  for (const auto& speech : node.texts("speech")) recipe.speech.emplace_back(speech);
  recipe.tokenizer = node.path("tokenizer");
  recipe.whisper = resolve_base(node.text("whisper"));
  recipe.seed = static_cast<uint64_t>(node.integer("seed", 0));
  recipe.batch_seconds = node.number("batch_seconds", recipe.batch_seconds);
  recipe.checkpoint_steps = node.integer("checkpoint_steps", recipe.checkpoint_steps);
  recipe.later_share = node.number("later_share", recipe.later_share);
  recipe.temperature = node.number("temperature", recipe.temperature);
  recipe.schedule = ScheduleConfig::read(node, {4e-4, 40, 0, 0.02});
  recipe.optimizer = OptimizerConfig::read(node, {.beta2 = 0.98});
  RecipeNode losses = node.child("losses");
  recipe.kl = losses.number("kl", recipe.kl);
  recipe.distance = losses.number("distance", recipe.distance);
  losses.finish();
  RecipeNode blocks = node.child("blocks");
  recipe.blocks.frames = blocks.integer("frames", recipe.blocks.frames);
  recipe.blocks.look_ahead = blocks.integer("look_ahead", recipe.blocks.look_ahead);
  recipe.blocks.context = blocks.integer("context", recipe.blocks.context);
  blocks.finish();
  node.finish();

  const std::string where = path.string() + ": ";
  require(!recipe.speech.empty(), where, "\"speech\" must list at least one feature file");
  require(recipe.schedule.total_steps > 0, where, "\"steps\" must be 1 or more");
  require(recipe.batch_seconds > 0, where, "\"batch_seconds\" must be above 0");
  require(recipe.checkpoint_steps > 0, where, "\"checkpoint_steps\" must be 1 or more");
  require(recipe.later_share >= 0 && recipe.later_share <= 1, where, "\"later_share\" must be in [0, 1]");
  require(recipe.temperature > 0, where, "\"temperature\" must be above 0");
  require(recipe.kl >= 0 && recipe.distance >= 0 && recipe.kl + recipe.distance > 0, where,
          "the weights of the losses must be 0 or more, and one of them above 0");
  require(recipe.blocks.any(), where, "\"blocks\" must have 1 or more \"frames\"");
  node.validate(recipe.schedule, recipe.optimizer);
  return recipe;
}

std::string StreamingTokenizerRecipe::fingerprint() const {
  std::vector<std::string> files;
  for (const auto& file : speech) files.push_back(file.string());
  return nlohmann::json{{"speech", files},
                        {"teacher", {tokenizer.string(), whisper.string()}},
                        {"seed", seed},
                        {"batch", {batch_seconds, later_share}},
                        {"losses", {kl, distance, temperature}},
                        {"blocks", {blocks.frames, blocks.look_ahead, blocks.context}},
                        {"schedule", schedule.values()},
                        {"optimizer", optimizer.values()}}
      .dump();
}

}  // namespace ichigo

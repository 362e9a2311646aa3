#include "training/decoder_recipe.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/recipe.h"

namespace ichigo {
namespace {

std::vector<MixtureSource> sources(RecipeNode& node, const std::string& key) {
  std::vector<MixtureSource> list;
  for (RecipeNode& child : node.children(key)) {
    list.push_back({child.path("rows"), parse_task(child.text("task")), child.number("share", 1.0),
                    child.number("replaced", 0.0)});
    child.finish();
  }
  return list;
}

}  // namespace

DecoderRecipe DecoderRecipe::read(const std::filesystem::path& path) {
  RecipeNode node = read_recipe(path);
  DecoderRecipe recipe;
  require(node.text("train") == "decoder", path.string(),
          " trains no decoder (\"train: decoder\"), which is wanted here");
  recipe.output = node.path("output");
  recipe.base = node.path("base");
  recipe.shape = node.text("shape", "");
  recipe.codebook = node.path("codebook", "");
  recipe.spelling = node.path("spelling", "");
  recipe.codes = node.integer("codes", recipe.codes);
  recipe.seed = node.integer("seed", recipe.seed);
  recipe.loss = parse_loss_mask(node.text("loss", "answer"));
  RecipeNode letters = node.child("letter_loss");
  recipe.letters.weight = letters.number("weight", recipe.letters.weight);
  recipe.letters.layer = letters.integer("layer", recipe.letters.layer);
  recipe.letters.start = letters.path("start", "");
  letters.finish();
  require(recipe.letters.weight >= 0, path.string(), ": the weight of letter_loss must not be negative");
  if (node.has("adapter")) {
    RecipeNode adapter = node.child("adapter");
    recipe.adapter.sound_tokenizer = adapter.path("tokenizer");
    recipe.adapter.whisper = adapter.path("whisper");
    adapter.finish();
    require(recipe.codebook.empty() && recipe.spelling.empty() && recipe.loss == LossMask::kAnswer, path.string(),
            ": with an adapter no codes are heard: leave out \"codebook\", \"spelling\" and \"loss: all\"");
  }
  if (node.has("blend")) {
    RecipeNode blend = node.child("blend");
    recipe.blend_with = blend.path("with");
    recipe.blend_share = blend.number("share", recipe.blend_share);
    blend.finish();
    require(0 < recipe.blend_share && recipe.blend_share < 1, path.string(),
            ": the share of blend must lie between 0 (the base) and 1 (the other model), not ", recipe.blend_share);
  }
  recipe.step_tokens = node.integer("step_tokens", recipe.step_tokens);
  recipe.batch_tokens = node.integer("batch_tokens", recipe.batch_tokens);
  recipe.longest_sample = node.integer("longest_sample", recipe.longest_sample);
  recipe.checkpoint_steps = node.integer("checkpoint_steps", recipe.checkpoint_steps);
  recipe.validation_steps = node.integer("validation_steps", recipe.validation_steps);
  recipe.validation_tokens = node.integer("validation_tokens", recipe.validation_tokens);
  recipe.checkpointing = node.flag("activation_checkpointing", recipe.checkpointing);
  recipe.bf16 = node.flag("bf16", recipe.bf16);
  recipe.schedule = ScheduleConfig::read(node, {3e-4, 50, 1000, 0.0});
  recipe.optimizer_kind = parse_optimizer(node.text("optimizer", "adamw"));
  recipe.optimizer.beta2 = node.number("beta2", recipe.optimizer_kind == OptimizerKind::kLion ? 0.99 : 0.95);
  recipe.optimizer.weight_decay = node.number("weight_decay", 0.01);
  recipe.optimizer.clip = node.number("clip", 1.0);
  recipe.mixture = sources(node, "mixture");
  recipe.validation = sources(node, "validation");
  node.finish();
  node.validate(recipe.schedule, recipe.optimizer);
  for (const auto& [name, value] : {std::pair{"codes", recipe.codes},
                                    {"step_tokens", recipe.step_tokens},
                                    {"batch_tokens", recipe.batch_tokens},
                                    {"longest_sample", recipe.longest_sample},
                                    {"checkpoint_steps", recipe.checkpoint_steps},
                                    {"validation_steps", recipe.validation_steps},
                                    {"validation_tokens", recipe.validation_tokens},
                                    {"steps", recipe.schedule.total_steps}}) {
    require(value > 0, path.string(), ": ", name, " must be positive, not ", value);
  }
  return recipe;
}

std::string DecoderRecipe::fingerprint() const {
  nlohmann::json rows = nlohmann::json::array();
  for (const MixtureSource& source : mixture) {
    rows.push_back({source.rows.string(), static_cast<int>(source.task), source.share, source.replaced});
  }
  return nlohmann::json{
      {"base", base.string()},
      {"blend", {blend_with.string(), blend_share}},
      {"codes", {codebook.string(), spelling.string(), codes}},
      {"adapter", {adapter.sound_tokenizer.string(), adapter.whisper.string()}},
      {"mixture", rows},
      {"seed", seed},
      {"tokens", {step_tokens, longest_sample}},
      {"loss", static_cast<int>(loss)},
      {"letters", {letters.weight, letters.layer, letters.start.string()}},
      {"optimizer", {static_cast<int>(optimizer_kind), optimizer.values()}},
  }
      .dump();
}

}  // namespace ichigo

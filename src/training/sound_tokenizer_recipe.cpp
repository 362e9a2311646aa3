// The recipe of a sound tokenizer, read and checked.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/recipe.h"
#include "training/sound_tokenizer_trainer.h"

namespace ichigo {

SoundTokenizerRecipe SoundTokenizerRecipe::read(const std::filesystem::path& path) {
  RecipeNode node = read_recipe(path);
  SoundTokenizerRecipe recipe;
  require(node.text("train") == "sound_tokenizer", path.string(), ": \"train\" must be sound_tokenizer");
  recipe.output = node.path("output");
  for (const auto& features : node.texts("features")) recipe.features.emplace_back(features);
  require(!recipe.features.empty(), path.string(), ": \"features\" must list at least one feature file");
  recipe.start = node.path("start", "");
  recipe.whisper = node.path("whisper", "");
  recipe.seed = static_cast<uint64_t>(node.integer("seed", 0));
  recipe.batch_seconds = node.number("batch_seconds", recipe.batch_seconds);
  recipe.checkpoint_steps = node.integer("checkpoint_steps", recipe.checkpoint_steps);
  recipe.quantize = node.flag("quantize", recipe.quantize);
  recipe.quantize_after = node.number("quantize_after", recipe.quantize_after);
  recipe.decoder_seconds = node.number("decoder_seconds", recipe.decoder_seconds);
  recipe.time_mask = node.number("time_mask", recipe.time_mask);

  recipe.schedule = ScheduleConfig::read(node, {2e-3, 60, 0, 0.02});
  recipe.optimizer = OptimizerConfig::read(node, {.beta2 = 0.98});

  if (node.has("encoder")) {
    RecipeNode encoder = node.child("encoder");
    recipe.encoder = encoder.path("whisper");
    recipe.encoder_learning_rate = encoder.number("learning_rate", recipe.encoder_learning_rate);
    encoder.finish();
  }

  RecipeNode losses = node.child("losses");
  recipe.ctc = losses.number("ctc", recipe.ctc);
  recipe.commitment = losses.number("commitment", recipe.commitment);
  recipe.cross_entropy = losses.number("cross_entropy", recipe.cross_entropy);
  recipe.kl = losses.number("kl", recipe.kl);
  recipe.mse = losses.number("mse", recipe.mse);
  recipe.usage = losses.number("usage", recipe.usage);
  recipe.usage_temperature = losses.number("usage_temperature", recipe.usage_temperature);
  losses.finish();

  RecipeNode tokenizer = node.child("tokenizer");
  auto& shape = recipe.tokenizer;
  shape.codes = tokenizer.integer("codes", shape.codes);
  shape.codebook_dim = tokenizer.integer("codebook_dim", shape.codebook_dim);
  shape.mask_code = shape.codes;
  shape.codebook_rows = shape.codes + 1;
  shape.width = tokenizer.integer("width", shape.width);
  shape.n_head = shape.width / shape.head_width;
  shape.whisper_model_name = tokenizer.text("whisper_model_name", shape.whisper_model_name);
  shape.cut_to_length = tokenizer.flag("cut_to_length", true);
  shape.tail_frames = tokenizer.integer("tail_frames", 8);
  tokenizer.finish();

  RecipeNode codebook = node.child("codebook");
  recipe.codebook.decay = codebook.number("decay", recipe.codebook.decay);
  recipe.codebook.dead_share = codebook.number("dead_share", recipe.codebook.dead_share);
  recipe.codebook.start_share = codebook.number("start_share", recipe.codebook.start_share);
  recipe.codebook.kmeans_iterations =
      static_cast<int>(codebook.integer("kmeans_iterations", recipe.codebook.kmeans_iterations));
  recipe.kmeans_vectors = codebook.integer("kmeans_vectors", recipe.kmeans_vectors);
  codebook.finish();

  RecipeNode head = node.child("head");
  recipe.head.width = head.integer("width", recipe.head.width);
  recipe.head.layers = head.integer("layers", recipe.head.layers);
  recipe.head.kernel = head.integer("kernel", recipe.head.kernel);
  recipe.head.dropout = head.number("dropout", recipe.head.dropout);
  head.finish();
  recipe.head.input = shape.width;
  recipe.head.quantize = recipe.quantize;
  node.finish();

  const std::string where = path.string() + ": ";
  const bool decoder = recipe.cross_entropy > 0 || recipe.kl > 0;
  if (!recipe.reads_back()) shape.depth = 0;
  require(recipe.schedule.total_steps > 0, where, "\"steps\" must be 1 or more");
  require(recipe.batch_seconds > 0, where, "\"batch_seconds\" must be above 0");
  require(recipe.checkpoint_steps > 0, where, "\"checkpoint_steps\" must be 1 or more");
  require(recipe.quantize_after >= 0 && recipe.quantize_after < 1, where, "\"quantize_after\" must be in [0, 1)");
  require(recipe.time_mask >= 0 && recipe.time_mask < 1, where, "\"time_mask\" must be in [0, 1)");
  require(std::min({recipe.ctc, recipe.commitment, recipe.cross_entropy, recipe.kl, recipe.mse, recipe.usage}) >= 0,
          where, "the weights of the losses must be 0 or more");
  require(recipe.ctc > 0 || recipe.reads_back(), where,
          "one of the losses ctc, cross_entropy, kl and mse must be above 0");
  require(
      recipe.start.empty() || (recipe.reads_back() && recipe.ctc == 0 && recipe.commitment == 0 && recipe.usage == 0),
      where, "\"start\" keeps the codes as they are: only the losses cross_entropy, kl and mse may be above 0");
  require(recipe.encoder_learning_rate >= 0, where, "the encoder's \"learning_rate\" must be 0 or more");
  require(recipe.encoder.empty() || !recipe.reads_back(), where,
          "an \"encoder\" that is trained hears for ctc alone: cross_entropy, kl and mse must be 0");
  require(recipe.usage_temperature > 0, where, "\"usage_temperature\" must be above 0");
  require(!decoder || !recipe.whisper.empty(), where, "the losses cross_entropy and kl need \"whisper\", its weights");
  node.validate(recipe.schedule, recipe.optimizer, recipe.codebook, recipe.tokenizer, recipe.head);
  return recipe;
}

std::string SoundTokenizerRecipe::fingerprint() const {
  std::vector<std::string> files;
  for (const auto& file : features) files.push_back(file.string());
  nlohmann::json values = {
      {"features", files},
      {"start", start.string()},
      {"seed", seed},
      {"batch_seconds", batch_seconds},
      {"quantize", {quantize ? 1.0 : 0.0, quantize_after, static_cast<double>(kmeans_vectors)}},
      {"time_mask", time_mask},
      {"losses", {ctc, commitment, cross_entropy, kl, decoder_seconds, usage, usage_temperature, mse}},
      {"schedule", schedule.values()},
      {"optimizer", optimizer.values()},
      {"codebook",
       {codebook.decay, codebook.dead_share, codebook.start_share, static_cast<double>(codebook.kmeans_iterations)}},
      {"tokenizer", tokenizer.to_json()},
      {"head", {head.width, head.layers, head.kernel}},
      {"dropout", head.dropout}};
  if (!encoder.empty()) values["encoder"] = {encoder.string(), encoder_learning_rate};
  return values.dump();
}

}  // namespace ichigo

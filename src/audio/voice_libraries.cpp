// espeak-ng and flite, as their C headers document them.
#include <espeak-ng/speak_lib.h>
#include <flite/flite.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "audio/voices.h"
#include "base/error.h"

// The voices' packages declare these nowhere.
extern "C" {
cst_voice* register_cmu_us_kal16(const char* folder);
cst_voice* register_cmu_us_awb(const char* folder);
cst_voice* register_cmu_us_rms(const char* folder);
cst_voice* register_cmu_us_slt(const char* folder);
}

namespace ichigo {
namespace {

struct FliteVoice {
  const char* name;
  cst_voice* (*open)(const char*);
};
constexpr std::array<FliteVoice, 4> kFliteVoices{{{"kal16", register_cmu_us_kal16},
                                                  {"awb", register_cmu_us_awb},
                                                  {"rms", register_cmu_us_rms},
                                                  {"slt", register_cmu_us_slt}}};

// Returns espeak's sample rate, -1 when its data is missing.
int start_espeak() {
  // Synchronous: no playback and no thread of its own.
  static const int rate = espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 500, nullptr, espeakINITIALIZE_DONT_EXIT);
  return rate;
}

// "en-us", "en-gb+f2": a language or voice name, perhaps with a variant. Returns whether espeak-ng has both.
bool select_espeak_voice(const std::string& name) {
  const size_t plus = name.find('+');
  const std::string base = name.substr(0, plus);
  const std::string variant = plus == std::string::npos ? "" : name.substr(plus);
  if (!variant.empty()) {
    espeak_VOICE variants{};
    variants.languages = "variant";
    const std::string file = "!v/" + variant.substr(1);
    const espeak_VOICE** voice = espeak_ListVoices(&variants);
    while (*voice != nullptr && file != (*voice)->identifier) ++voice;
    if (*voice == nullptr) return false;
  }
  if (espeak_SetVoiceByName(name.c_str()) == EE_OK) return true;
  espeak_VOICE language{};
  language.languages = base.c_str();
  if (espeak_SetVoiceByProperties(&language) != EE_OK) return false;
  // The nearest voice may be of another language. A language entry is a priority byte and the name.
  const espeak_VOICE* nearest = espeak_GetCurrentVoice();
  if (nearest == nullptr || nearest->languages == nullptr || base != nearest->languages + 1) return false;
  return espeak_SetVoiceByName((nearest->identifier + variant).c_str()) == EE_OK;
}

int collect(short* samples, int count, espeak_EVENT* events) {
  if (samples != nullptr && events != nullptr) {
    auto* out = static_cast<std::vector<int16_t>*>(events->user_data);
    if (out != nullptr) out->insert(out->end(), samples, samples + count);
  }
  return 0;
}

Pcm speak_with_espeak(const std::string& voice, const std::string& text, const VoiceSettings& settings) {
  Pcm pcm;
  pcm.rate = start_espeak();
  if (pcm.rate <= 0 || !select_espeak_voice(voice)) return pcm;
  const auto relative = [](double factor, int normal, int low, int high) {
    return static_cast<int>(std::lround(std::clamp<double>(factor * normal, low, high)));
  };
  espeak_SetParameter(espeakRATE, relative(settings.rate, 175, 80, 450), 0);
  espeak_SetParameter(espeakPITCH, relative(settings.pitch, 50, 0, 99), 0);
  espeak_SetSynthCallback(collect);
  if (espeak_Synth(text.c_str(), text.size() + 1, 0, POS_CHARACTER, 0, espeakCHARS_UTF8, nullptr, &pcm.samples) !=
      EE_OK) {
    pcm.samples.clear();
  }
  return pcm;
}

Pcm speak_with_flite(const std::string& name, const std::string& text, const VoiceSettings& settings) {
  Pcm pcm;
  const auto* known = std::find_if(kFliteVoices.begin(), kFliteVoices.end(),
                                   [&](const FliteVoice& candidate) { return candidate.name == name; });
  if (known == kFliteVoices.end()) return pcm;
  cst_voice* voice = known->open(nullptr);
  if (voice == nullptr) return pcm;
  flite_feat_set_float(voice->features, "duration_stretch",
                       static_cast<float>(get_param_float(voice->features, "duration_stretch", 1) / settings.rate));
  flite_feat_set_float(voice->features, "f0_shift", static_cast<float>(settings.pitch));
  cst_wave* wave = flite_text_to_wave(text.c_str(), voice);
  if (wave == nullptr) return pcm;
  pcm.rate = wave->sample_rate;
  pcm.samples.assign(wave->samples, wave->samples + wave->num_samples);
  delete_wave(wave);
  return pcm;
}

}  // namespace

void prepare_voices() {
  if (start_espeak() > 0) espeak_ListVoices(nullptr);
  flite_init();
  for (const auto& voice : kFliteVoices) voice.open(nullptr);
}

Pcm speak_with_library(const std::string& voice, const std::string& text, const VoiceSettings& settings) {
  std::srand(1);
  if (voice.starts_with("espeak:")) return speak_with_espeak(voice.substr(7), text, settings);
  return speak_with_flite(voice.substr(6), text, settings);
}

std::vector<std::string> espeak_phonemes(const std::string& text, const std::string& voice) {
  static std::mutex mutex;
  static std::string current;
  start_worker();
  const std::lock_guard lock(mutex);
  require(start_espeak() > 0, "espeak-ng cannot find its data: install espeak-ng-data");
  if (current != voice) {
    current.clear();
    require(select_espeak_voice(voice), "espeak-ng has no voice \"", voice, "\": see espeak-ng --voices");
    current = voice;
  }
  constexpr int kInternational = 2;
  std::string symbols;
  const void* rest = text.c_str();
  while (rest != nullptr) {
    const char* clause = espeak_TextToPhonemes(&rest, espeakCHARS_UTF8, kInternational | '_' << 8);
    if (clause != nullptr) symbols.append(clause) += ' ';
  }
  std::vector<std::string> phonemes;
  std::string phoneme;
  for (size_t i = 0; i < symbols.size();) {
    if (symbols[i] == '(') {  // a change of language, "(fr)"
      i = std::min(symbols.find(')', i), symbols.size() - 1) + 1;
      continue;
    }
    size_t size = 1;
    while (i + size < symbols.size() && (symbols[i + size] & 0xC0) == 0x80) ++size;
    const std::string_view character = std::string_view(symbols).substr(i, size);
    i += size;
    if (character == "_" || character == " " || character == "\n") {
      if (!phoneme.empty()) phonemes.push_back(std::move(phoneme));
      phoneme.clear();
    } else if (character != "ˈ" && character != "ˌ" && character != "ː" && character != "\u0361" &&
               character != "\u200d" && !(size == 1 && std::ispunct(static_cast<unsigned char>(character[0])))) {
      phoneme += character;
    }
  }
  return phonemes;
}

}  // namespace ichigo

#include "audio/text_to_speech.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/temporary_folder.h"

namespace ichigo {
namespace {

const std::vector<std::string> kVoices = {"espeak:en-us+f2", "espeak:en-gb+m3", "flite:kal16",
                                          "flite:awb",       "flite:rms",       "flite:slt"};

TEST(TextToSpeech, EveryVoiceSpeaksAndAlwaysTheSame) {
  for (const auto& name : kVoices) {
    const auto voice = open_voice(name);
    const Audio first = voice->speak("What is the capital of France?");
    EXPECT_GT(first.seconds(), 0.5) << name;
    EXPECT_LT(first.seconds(), 5) << name;
    EXPECT_GE(first.rate, 16000) << name;
    const float loudest = *std::max_element(first.samples.begin(), first.samples.end());
    EXPECT_GT(loudest, 0.05) << name;
    voice->speak("Something else comes between.");
    EXPECT_EQ(voice->speak("What is the capital of France?").samples, first.samples) << name;
  }
}

TEST(TextToSpeech, VariantsAndLanguagesSoundDifferent) {
  const auto speech = [](const std::string& name) { return open_voice(name)->speak("Hello over there.").samples; };
  EXPECT_NE(speech("espeak:en-us+f2"), speech("espeak:en-us"));
  EXPECT_NE(speech("espeak:en-gb+m3"), speech("espeak:en-gb"));
  EXPECT_NE(speech("espeak:en-gb+m3"), speech("espeak:en-us+m3"));
}

TEST(TextToSpeech, RateAndPitchChangeTheSpeech) {
  for (const auto& name : kVoices) {
    const auto voice = open_voice(name);
    const std::string text = "Good morning to all of you.";
    const Audio normal = voice->speak(text);
    EXPECT_LT(voice->speak(text, {.rate = 1.25}).seconds(), normal.seconds() * 0.95) << name;
    EXPECT_GT(voice->speak(text, {.rate = 0.8}).seconds(), normal.seconds() * 1.05) << name;
    if (name == "flite:rms" || name == "flite:slt") continue;  // their pitch is fixed
    EXPECT_NE(voice->speak(text, {.pitch = 1.3}).samples, normal.samples) << name;
  }
}

TEST(TextToSpeech, SeveralThreadsGetTheSameSpeech) {
  const auto voice = open_voice("espeak:en-us");
  const Audio expected = voice->speak("One two three.");
  std::vector<Audio> results(16);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = voice->speak("One two three."); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result.samples, expected.samples);
}

TEST(TextToSpeech, UnknownVoicesAndBadRequestsAreErrors) {
  for (const std::string name :
       {"", "nobody", "espeak:xx-nowhere", "espeak:en-us+nobody", "flite:nobody", "command:echo"}) {
    EXPECT_THROW(open_voice(name), Error) << name;
  }
  EXPECT_THROW(open_voice("espeak:en-us")->speak(""), Error);
  EXPECT_THROW(open_voice("espeak:en-us")->speak(std::string(20000, 'a')), Error);
  EXPECT_THROW(open_voice("espeak:en-us")->speak("Hello", {.rate = 0}), Error);
  EXPECT_THROW(open_voice("espeak:en-us")->speak(std::string("Hel\0lo", 6)), Error);
  EXPECT_GT(open_voice("flite:kal16")->speak("Hello").seconds(), 0.2);
}

class CommandVoice : public testing::Test {
 protected:
  void SetUp() override { write_audio(sound_, std::vector<float>(12000, 0.25F), 24000); }
  std::string heard() const {
    std::ifstream file(heard_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  const TemporaryFolder folder_;
  const std::filesystem::path sound_ = folder_ / "voice.wav";
  const std::string heard_ = folder_ / "heard.txt";
};

TEST_F(CommandVoice, GetsTheTextUnchanged) {
  const std::string text = "It's $HOME; `ls` \"{out}\" \\ {text_file}";
  const std::string copy = "cp '" + sound_.string() + "' {out}";
  const Audio audio = open_voice("command:printf %s {text} > '" + heard_ + "' && " + copy)->speak(text);
  EXPECT_EQ(heard(), text);
  EXPECT_EQ(audio.rate, 24000);
  EXPECT_EQ(audio.samples.size(), 12000);
  open_voice("command:cat {text_file} > '" + heard_ + "' && " + copy)->speak(text);
  EXPECT_EQ(heard(), text + "\n");
}

TEST_F(CommandVoice, FailureAndSilenceAreErrors) {
  EXPECT_THROW(open_voice("command:cp '" + sound_.string() + "' {out}; : {text}; exit 3")->speak("Hello"), Error);
  EXPECT_THROW(open_voice("command:: {text} {out}")->speak("Hello"), Error);
  EXPECT_THROW(open_voice("command:echo {text} > {out}")->speak("Hello"), Error);
}

TEST(Phonemes, AreOneSymbolEach) {
  EXPECT_EQ(espeak_phonemes("hello world"), (std::vector<std::string>{"h", "ə", "l", "oʊ", "w", "ɜ", "l", "d"}));
  EXPECT_EQ(espeak_phonemes("Church, judge."), (std::vector<std::string>{"tʃ", "ɜ", "tʃ", "dʒ", "ʌ", "dʒ"}));
  EXPECT_TRUE(espeak_phonemes("").empty());
  EXPECT_TRUE(espeak_phonemes("...").empty());
}

TEST(Phonemes, HoldNoMarks) {
  for (const auto& phoneme : espeak_phonemes("The café's naïve façade: c'est la vie! 42 bottles, a button; père, señor "
                                             "and Händel's church? 東京 Москва")) {
    for (const std::string mark : {"ˈ", "ˌ", "ː", "_", " ", "(", ")", "-", "."}) {
      EXPECT_EQ(phoneme.find(mark), std::string::npos) << phoneme;
    }
    EXPECT_FALSE(phoneme.empty());
  }
}

TEST(Phonemes, UnknownVoiceIsAnError) {
  EXPECT_THROW(espeak_phonemes("hello", "xx-nowhere"), Error);
  EXPECT_EQ(espeak_phonemes("hello").size(), 4);
}

}  // namespace
}  // namespace ichigo

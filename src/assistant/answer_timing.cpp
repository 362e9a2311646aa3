#include "assistant/answer_timing.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace ichigo {

std::string AnswerTiming::summary() const {
  const auto whole = [](double milliseconds) { return std::llround(milliseconds); };
  const std::string recognition = recognise > 0 ? concat(", recognise ", whole(recognise)) : "";
  return concat("first token after ", whole(first_token()), " ms (load ", whole(load), ", mel ", whole(mel),
                ", encode ", whole(encode), recognition, ", prefill ", whole(prefill), ", first step ",
                whole(first_step), ")");
}

nlohmann::json AnswerTiming::to_json() const {
  const auto tenths = [](double milliseconds) { return std::round(milliseconds * 10) / 10; };
  nlohmann::json json = {{"load", tenths(load)},
                         {"mel", tenths(mel)},
                         {"encode", tenths(encode)},
                         {"prefill", tenths(prefill)},
                         {"first_step", tenths(first_step)},
                         {"first_token", tenths(first_token())},
                         {"total", tenths(total())}};
  if (recognise > 0) json["recognise"] = tenths(recognise);
  if (while_speaking > 0) json["while_speaking"] = tenths(while_speaking);
  return json;
}

}  // namespace ichigo

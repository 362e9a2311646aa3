#include "cli/package_index.h"

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/download.h"

namespace ichigo {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The value of `key` in an INI file's sections for every command or for downloads; lines of a value are joined.
std::string ini_value(const std::filesystem::path& path, const std::string& key) {
  if (!std::filesystem::is_regular_file(path)) return {};
  const auto trim = [](const std::string& text) {
    const auto begin = text.find_first_not_of(" \t\r");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
  };
  std::istringstream lines(read_file(path));
  std::string value;
  bool section = false, continued = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string text = trim(line);
    if (text.empty() || text[0] == '#' || text[0] == ';') continue;
    if (continued && (line[0] == ' ' || line[0] == '\t')) {
      value += " " + text;
      continue;
    }
    continued = false;
    if (text[0] == '[') {
      section = text == "[global]" || text == "[install]" || text == "[download]";
    } else if (const auto equals = text.find('='); section && trim(text.substr(0, equals)) == key) {
      value = equals == std::string::npos ? "" : trim(text.substr(equals + 1));
      continued = true;
    }
  }
  return value;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

// As pip does it: the environment, then the user's files, then the machine's.
std::vector<std::string> setting(const std::string& variable, const std::string& key) {
  if (const auto value = environment(variable.c_str()); !value.empty()) return words(value);
  const std::string home = environment("HOME");
  std::string config = environment("XDG_CONFIG_HOME");
  if (config.empty()) config = home + "/.config";
  for (const std::string& path : {environment("PIP_CONFIG_FILE"), config + "/pip/pip.conf", home + "/.pip/pip.conf",
                                  std::string("/etc/pip.conf")}) {
    if (const auto value = ini_value(path, key); !value.empty()) return words(value);
  }
  return {};
}

std::string last_part(std::string url) {
  url = url.substr(0, url.find_first_of("?#"));
  return url.substr(url.rfind('/') + 1);
}

std::string find_in_json(const std::string& page, const std::string& wheel) {
  const auto parsed = nlohmann::json::parse(page, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("files") || !parsed["files"].is_array()) return {};
  for (const auto& file : parsed["files"]) {
    if (file.is_object() && file.value("filename", nlohmann::json()) == wheel && file.contains("url") &&
        file["url"].is_string()) {
      return file["url"].get<std::string>();
    }
  }
  return {};
}

std::string find_in_html(const std::string& page, const std::string& wheel) {
  constexpr std::string_view kLink = "href=";
  for (auto at = page.find(kLink); at != std::string::npos; at = page.find(kLink, at + 1)) {
    const auto begin = at + kLink.size();
    if (begin >= page.size() || (page[begin] != '"' && page[begin] != '\'')) continue;
    const auto link = page.substr(begin + 1, page.find(page[begin], begin + 1) - begin - 1);
    if (last_part(link) == wheel) return link;
  }
  return {};
}

}  // namespace

std::vector<std::string> configured_indexes() {
  auto indexes = setting("PIP_INDEX_URL", "index-url");
  if (indexes.empty()) indexes.emplace_back("https://pypi.org/simple");
  for (const auto& extra : setting("PIP_EXTRA_INDEX_URL", "extra-index-url")) indexes.push_back(extra);
  return indexes;
}

std::string find_wheel(const std::string& index, const std::string& package, const std::string& wheel) {
  std::string url = index;
  while (url.ends_with('/')) url.pop_back();
  url += "/" + package + "/";
  if (url.starts_with("file:")) url += "index.html";
  const std::string page = download_text(url, "application/vnd.pypi.simple.v1+json, text/html;q=0.5");
  const auto first = page.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && page[first] == '{';
  const std::string link = is_json ? find_in_json(page, wheel) : find_in_html(page, wheel);
  require(!link.empty(), printable_url(url), " does not list ", wheel);
  return resolve_url(url, link.substr(0, link.find('#')));
}

}  // namespace ichigo

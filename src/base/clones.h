// Marks a function to be compiled for AVX-512, AVX2 and plain x86-64, chosen when the program starts.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define ICHIGO_CLONES [[gnu::optimize("O3"), gnu::target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")]]
#else
#define ICHIGO_CLONES
#endif

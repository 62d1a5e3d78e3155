/* Includes TEMPLATE once for each size of registers that the processor may have, with LANES (floats of a register) and
   NAME (of what is defined for it). Tests ask for all sizes: the compiler makes wide ones of several. */

#if defined(ALL_WIDTHS)
#define HAS_4
#define HAS_8
#define HAS_16
#define BEGIN_TARGET(features)
#define END_TARGET
#elif defined(__x86_64__) && defined(__clang__)
#define HAS_8
#define HAS_16
#define PRAGMA(text) _Pragma(#text)
#define BEGIN_TARGET(features) PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_TARGET _Pragma("clang attribute pop")
#elif defined(__x86_64__)
#define HAS_8
#define HAS_16
#define PRAGMA(text) _Pragma(#text)
#define BEGIN_TARGET(features) _Pragma("GCC push_options") PRAGMA(GCC target(features))
#define END_TARGET _Pragma("GCC pop_options")
#elif defined(__aarch64__)
#define HAS_4
#define BEGIN_TARGET(features)
#define END_TARGET
#endif

#define vec NAME(register)
#define LOAD(place) ((vec) * (const NAME(stored) *)(place))
#define STORE(place, value) (*(NAME(stored) *)(place) = (value))
#define INLINE static inline __attribute__((always_inline))

#if defined(HAS_4)
#define LANES 4
#define NAME(name) name##_4
#include TEMPLATE
#undef LANES
#undef NAME
#endif

#if defined(HAS_8)
BEGIN_TARGET("avx2,fma")
#define LANES 8
#define NAME(name) name##_8
#include TEMPLATE
#undef LANES
#undef NAME
END_TARGET
#endif

#if defined(HAS_16)
BEGIN_TARGET("avx512f")
#define LANES 16
#define NAME(name) name##_16
#include TEMPLATE
#undef LANES
#undef NAME
END_TARGET
#endif

#undef vec
#undef LOAD
#undef STORE
#undef INLINE

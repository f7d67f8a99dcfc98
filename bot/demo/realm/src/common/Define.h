#pragma once

#include <cstdint>

using uint8 = std::uint8_t;
using uint16 = std::uint16_t;
using uint32 = std::uint32_t;
using uint64 = std::uint64_t;
using int32 = std::int32_t;

#if defined(_MSC_VER)
#define TC_NOINLINE __declspec(noinline)
#define ATTR_PRINTF(text, values)
#elif defined(__MINGW32__)
#define TC_NOINLINE __attribute__((noinline))
#define ATTR_PRINTF(text, values) __attribute__((format(gnu_printf, text, values)))
#else
#define TC_NOINLINE __attribute__((noinline))
#define ATTR_PRINTF(text, values) __attribute__((format(printf, text, values)))
#endif

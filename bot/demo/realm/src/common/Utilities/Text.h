#pragma once

#include "Define.h"
#include <cstdarg>
#include <string>
#include <string_view>
#include <vector>

namespace Trinity
{
    std::string StringFormat(char const* format, ...) ATTR_PRINTF(1, 2);
    std::string StringFormatV(char const* format, va_list arguments);

    std::string ToUpper(std::string_view text);
    std::string Trim(std::string_view text);
    std::vector<std::string> Tokenize(std::string_view text);

    // The first word of the text; what remains is left in it, trimmed.
    std::string TakeWord(std::string& text);

    // Only digits: the number, else fallback.
    int64_t ParseNumber(std::string_view text, int64_t fallback);

    // "90", "15m", "1h30m" in seconds; -1 when it is neither.
    int64_t TimeStringToSecs(std::string_view text);

    // "1 Hour(s) 2 Minute(s) 3 Second(s)"
    std::string SecsToTimeString(uint64 seconds);
}

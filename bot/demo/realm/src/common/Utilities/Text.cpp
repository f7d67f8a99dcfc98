#include "Utilities/Text.h"
#include <cctype>
#include <cstdio>

namespace Trinity
{
    std::string StringFormatV(char const* format, va_list arguments)
    {
        va_list copy;
        va_copy(copy, arguments);
        int const length = std::vsnprintf(nullptr, 0, format, copy);
        va_end(copy);
        if (length <= 0)
            return {};

        std::string text(static_cast<std::size_t>(length) + 1, '\0');
        std::vsnprintf(text.data(), text.size(), format, arguments);
        text.pop_back();
        return text;
    }

    std::string StringFormat(char const* format, ...)
    {
        va_list arguments;
        va_start(arguments, format);
        std::string text = StringFormatV(format, arguments);
        va_end(arguments);
        return text;
    }

    std::string ToUpper(std::string_view text)
    {
        std::string upper(text);
        for (char& letter : upper)
            letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
        return upper;
    }

    std::string Trim(std::string_view text)
    {
        char const* const blanks = " \t\r\n";
        std::size_t const first = text.find_first_not_of(blanks);
        if (first == std::string_view::npos)
            return {};
        return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
    }

    std::string TakeWord(std::string& text)
    {
        text = Trim(text);
        std::size_t const end = text.find_first_of(" \t");
        std::string word = text.substr(0, end);
        text = end == std::string::npos ? std::string() : Trim(text.substr(end));
        return word;
    }

    std::vector<std::string> Tokenize(std::string_view text)
    {
        std::vector<std::string> words;
        std::string rest(text);
        while (true)
        {
            std::string word = TakeWord(rest);
            if (word.empty())
                return words;
            words.push_back(std::move(word));
        }
    }

    int64_t ParseNumber(std::string_view text, int64_t fallback)
    {
        if (text.empty() || text.size() > 9)
            return fallback;
        int64_t number = 0;
        for (char digit : text)
        {
            if (digit < '0' || digit > '9')
                return fallback;
            number = number * 10 + (digit - '0');
        }
        return number;
    }

    int64_t TimeStringToSecs(std::string_view text)
    {
        int64_t seconds = 0;
        std::size_t begin = 0;
        for (std::size_t at = 0; at < text.size(); ++at)
        {
            int64_t unit = 0;
            switch (text[at])
            {
                case 'd': unit = 86400; break;
                case 'h': unit = 3600; break;
                case 'm': unit = 60; break;
                case 's': unit = 1; break;
                default: continue;
            }
            int64_t const number = ParseNumber(text.substr(begin, at - begin), -1);
            if (number < 0)
                return -1;
            seconds += number * unit;
            begin = at + 1;
        }
        if (begin == text.size())
            return text.empty() ? -1 : seconds;
        int64_t const rest = ParseNumber(text.substr(begin), -1);
        return rest < 0 ? -1 : seconds + rest;
    }

    std::string SecsToTimeString(uint64 seconds)
    {
        std::string text;
        if (seconds >= 3600)
            text += std::to_string(seconds / 3600) + " Hour(s) ";
        if (seconds >= 60)
            text += std::to_string(seconds / 60 % 60) + " Minute(s) ";
        return text + std::to_string(seconds % 60) + " Second(s)";
    }
}

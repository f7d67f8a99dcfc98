#include "Logging/Log.h"
#include "Platform/Process.h"
#include "Utilities/Text.h"
#include <cstring>
#include <ctime>

namespace
{
    char const* const LevelNames[] = { "INFO ", "WARN ", "ERROR" };

    std::string FormatPrefix(LogLevel level, char const* logger)
    {
        std::tm const now = Platform::LocalTime(std::time(nullptr));
        return Trinity::StringFormat("%04d-%02d-%02d_%02d:%02d:%02d %s[%s] ", now.tm_year + 1900, now.tm_mon + 1,
            now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, LevelNames[level], logger);
    }

    void WriteLine(std::FILE* file, std::string const& line)
    {
        std::fwrite(line.data(), 1, line.size(), file);
        std::fputc('\n', file);
        std::fflush(file);
    }
}

Log* Log::instance()
{
    static Log instance;
    return &instance;
}

void Log::Open(std::string const& logsDir)
{
    std::string const folder = logsDir.empty() ? std::string() : logsDir + "/";
    _server = std::fopen((folder + "Server.log").c_str(), "w");
    _playerbot = std::fopen((folder + "Playerbot.log").c_str(), "w");
}

void Log::Write(LogLevel level, char const* logger, char const* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    std::string const text = Trinity::StringFormatV(format, arguments);
    va_end(arguments);

    bool const ofBots = std::strcmp(logger, "playerbots") == 0;
    std::lock_guard<std::mutex> guard(_lock);
    if (!ofBots)
        WriteLine(stdout, text);
    if (std::FILE* file = ofBots ? _playerbot : _server)
        WriteLine(file, FormatPrefix(level, logger) + text);
}

void Log::Print(std::string const& text)
{
    std::lock_guard<std::mutex> guard(_lock);
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

#pragma once

#include "Define.h"
#include <cstdio>
#include <mutex>
#include <string>

enum LogLevel
{
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

// Console: the text alone. Server.log (and Playerbot.log for the logger "playerbots"): time, level and logger before it.
// Both files are begun anew at each start and flushed after each line.
class Log
{
public:
    static Log* instance();

    // A folder that does not exist switches the files off, as TrinityCore does.
    void Open(std::string const& logsDir);

    void Write(LogLevel level, char const* logger, char const* format, ...) ATTR_PRINTF(4, 5);

    // The console's own texts (prompt, command output), which go to no file.
    void Print(std::string const& text);

private:
    std::mutex _lock;
    std::FILE* _server = nullptr;
    std::FILE* _playerbot = nullptr;
};

#define sLog Log::instance()
#define TC_LOG_INFO(logger, ...) sLog->Write(LOG_LEVEL_INFO, logger, __VA_ARGS__)
#define TC_LOG_WARN(logger, ...) sLog->Write(LOG_LEVEL_WARN, logger, __VA_ARGS__)
#define TC_LOG_ERROR(logger, ...) sLog->Write(LOG_LEVEL_ERROR, logger, __VA_ARGS__)

#pragma once

#include "Define.h"

// The texts on stderr are TrinityCore's, to the letter; everything but WARNING ends in a write to null.
namespace Trinity
{
    [[noreturn]] void Assert(char const* file, int line, char const* function, char const* debugInfo, char const* message);
    [[noreturn]] void Assert(char const* file, int line, char const* function, char const* debugInfo, char const* message,
        char const* format, ...) ATTR_PRINTF(6, 7);
    [[noreturn]] void Fatal(char const* file, int line, char const* function, char const* format, ...) ATTR_PRINTF(4, 5);
    [[noreturn]] void Error(char const* file, int line, char const* function, char const* message);
    void Warning(char const* file, int line, char const* function, char const* message);
    [[noreturn]] void Abort(char const* file, int line, char const* function);
    [[noreturn]] void Abort(char const* file, int line, char const* function, char const* format, ...) ATTR_PRINTF(4, 5);

    // For SIGABRT: says so, and dies as an assertion does.
    [[noreturn]] void AbortHandler(int sigval);
}

#define ASSERT(cond, ...) \
    do { if (!(cond)) Trinity::Assert(__FILE__, __LINE__, __FUNCTION__, "", #cond, ##__VA_ARGS__); } while (0)
#define WPFatal(cond, ...) \
    do { if (!(cond)) Trinity::Fatal(__FILE__, __LINE__, __FUNCTION__, ##__VA_ARGS__); } while (0)
#define WPError(cond, message) \
    do { if (!(cond)) Trinity::Error(__FILE__, __LINE__, __FUNCTION__, (message)); } while (0)
#define WPWarning(cond, message) \
    do { if (!(cond)) Trinity::Warning(__FILE__, __LINE__, __FUNCTION__, (message)); } while (0)
#define ABORT() Trinity::Abort(__FILE__, __LINE__, __FUNCTION__)
#define ABORT_MSG(...) Trinity::Abort(__FILE__, __LINE__, __FUNCTION__, ##__VA_ARGS__)

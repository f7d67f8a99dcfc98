#include "Debugging/Errors.h"
#include "Utilities/Text.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#ifdef _WIN32
#include <windows.h>
#endif

// In reach of a debugger by this name.
extern "C" char const* TrinityAssertionFailedMessage;
char const* TrinityAssertionFailedMessage = nullptr;

namespace
{
    void Tell(std::string const& text)
    {
        std::fputs(text.c_str(), stderr);
        std::fflush(stderr);
    }

    std::string Place(char const* file, int line, char const* function, char const* what)
    {
        return Trinity::StringFormat("\n%s:%i in %s %s", file, line, function, what);
    }

    char* Keep(std::string const& text)
    {
        char* copy = static_cast<char*>(std::malloc(text.size() + 1));
        if (copy)
            std::memcpy(copy, text.c_str(), text.size() + 1);
        return copy;
    }
}

#ifdef _WIN32
#define Crash(message) \
    TrinityAssertionFailedMessage = Keep(message); \
    ULONG_PTR const crashArguments[] = { reinterpret_cast<ULONG_PTR>(TrinityAssertionFailedMessage) }; \
    RaiseException(0xC0000420 /*STATUS_ASSERTION_FAILURE*/, EXCEPTION_NONCONTINUABLE, 1, crashArguments); \
    std::exit(1)
#else
#define Crash(message) \
    TrinityAssertionFailedMessage = Keep(message); \
    *((volatile int*)nullptr) = 0; \
    std::exit(1)
#endif

#define FORMAT_ARGUMENTS(into) \
    va_list arguments; \
    va_start(arguments, format); \
    into += Trinity::StringFormatV(format, arguments); \
    va_end(arguments)

namespace Trinity
{
    void Assert(char const* file, int line, char const* function, char const* debugInfo, char const* message)
    {
        std::string const text = Place(file, line, function, "ASSERTION FAILED:\n  ") + message + '\n' + debugInfo + '\n';
        Tell(text);
        Crash(text);
    }

    void Assert(char const* file, int line, char const* function, char const* debugInfo, char const* message, char const* format, ...)
    {
        std::string text = Place(file, line, function, "ASSERTION FAILED:\n  ") + message + '\n';
        FORMAT_ARGUMENTS(text);
        text += std::string("\n") + debugInfo + '\n';
        Tell(text);
        Crash(text);
    }

    void Fatal(char const* file, int line, char const* function, char const* format, ...)
    {
        std::string text = Place(file, line, function, "FATAL ERROR:\n");
        FORMAT_ARGUMENTS(text);
        text += '\n';
        Tell(text);
        std::this_thread::sleep_for(std::chrono::seconds(10));
        Crash(text);
    }

    void Error(char const* file, int line, char const* function, char const* message)
    {
        std::string const text = Place(file, line, function, "ERROR:\n  ") + message + '\n';
        Tell(text);
        Crash(text);
    }

    void Warning(char const* file, int line, char const* function, char const* message)
    {
        Tell(Place(file, line, function, "WARNING:\n  ") + message + '\n');
    }

    void Abort(char const* file, int line, char const* function)
    {
        std::string const text = Place(file, line, function, "ABORTED.\n");
        Tell(text);
        Crash(text);
    }

    void Abort(char const* file, int line, char const* function, char const* format, ...)
    {
        std::string text = Place(file, line, function, "ABORTED:\n");
        FORMAT_ARGUMENTS(text);
        text += '\n';
        Tell(text);
        Crash(text);
    }

    void AbortHandler(int sigval)
    {
        std::string const text = StringFormat("Caught signal %i\n", sigval);
        Tell(text);
        Crash(text);
    }
}

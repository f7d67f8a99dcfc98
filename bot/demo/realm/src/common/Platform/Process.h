#pragma once

#include "Define.h"
#include <ctime>
#include <string>

// What differs between POSIX and Windows beside sockets.
namespace Platform
{
    uint32 GetProcessId();
    std::tm LocalTime(std::time_t time);

    // Milliseconds of a clock that is never set back.
    uint64 GetMSTime();
    void Sleep(uint32 milliseconds);

    // SIGINT, SIGTERM; on Windows CTRL_C, CTRL_BREAK and the close of the console. Any thread may be in the handler.
    void OnStopSignal(void (*handler)());

    // Puts a finished file into the place of another in one act.
    bool PutInPlace(std::string const& finished, std::string const& target);

    enum class InputState
    {
        Line,
        Nothing,
        End
    };
    // One line of standard input, waiting at most 100 ms (on Windows: as long as it takes).
    InputState ReadInputLine(std::string& line);
}

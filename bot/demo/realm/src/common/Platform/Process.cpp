#include "Platform/Process.h"
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#ifdef _WIN32
#include <io.h>
#include <windows.h>
#else
#include <poll.h>
#include <unistd.h>
#endif

namespace
{
    std::atomic<void (*)()> StopHandler{ nullptr };

    // Collects what was read until a line is complete.
    bool TakeLine(std::string& buffer, std::string& line)
    {
        std::size_t const end = buffer.find('\n');
        if (end == std::string::npos)
            return false;
        line = buffer.substr(0, end);
        buffer.erase(0, end + 1);
        return true;
    }
}

uint64 Platform::GetMSTime()
{
    auto const now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<uint64>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

void Platform::Sleep(uint32 milliseconds)
{
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

#ifdef _WIN32

uint32 Platform::GetProcessId()
{
    return ::GetCurrentProcessId();
}

std::tm Platform::LocalTime(std::time_t time)
{
    std::tm result{};
    localtime_s(&result, &time);
    return result;
}

void Platform::OnStopSignal(void (*handler)())
{
    StopHandler = handler;
    ::SetConsoleCtrlHandler([](DWORD event) -> BOOL
    {
        StopHandler.load()();
        if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
            ::Sleep(INFINITE); // returning from a close ends the process at once; main returns first
        return TRUE;
    }, TRUE);
}

bool Platform::PutInPlace(std::string const& finished, std::string const& target)
{
    return ::MoveFileExA(finished.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
}

Platform::InputState Platform::ReadInputLine(std::string& line)
{
    static std::string buffer;
    while (!TakeLine(buffer, line))
    {
        char chunk[256];
        int const length = ::_read(0, chunk, sizeof(chunk));
        if (length <= 0)
            return InputState::End;
        buffer.append(chunk, static_cast<std::size_t>(length));
    }
    return InputState::Line;
}

#else

uint32 Platform::GetProcessId()
{
    return static_cast<uint32>(::getpid());
}

std::tm Platform::LocalTime(std::time_t time)
{
    std::tm result{};
    localtime_r(&time, &result);
    return result;
}

void Platform::OnStopSignal(void (*handler)())
{
    StopHandler = handler;
    for (int number : { SIGINT, SIGTERM })
        std::signal(number, [](int) { StopHandler.load()(); });
}

bool Platform::PutInPlace(std::string const& finished, std::string const& target)
{
    return std::rename(finished.c_str(), target.c_str()) == 0;
}

Platform::InputState Platform::ReadInputLine(std::string& line)
{
    static std::string buffer;
    if (TakeLine(buffer, line))
        return InputState::Line;

    pollfd input{ STDIN_FILENO, POLLIN, 0 };
    if (::poll(&input, 1, 100) <= 0)
        return InputState::Nothing;
    char chunk[256];
    ssize_t const length = ::read(STDIN_FILENO, chunk, sizeof(chunk));
    if (length <= 0)
        return InputState::End;
    buffer.append(chunk, static_cast<std::size_t>(length));
    return TakeLine(buffer, line) ? InputState::Line : InputState::Nothing;
}

#endif

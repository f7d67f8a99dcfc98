#include "CommandLine/CliRunnable.h"
#include "Logging/Log.h"
#include "Platform/Process.h"
#include "Utilities/Text.h"
#include "World/World.h"

namespace
{
    void EndOfInput()
    {
#ifndef _WIN32
        World::StopNow(SHUTDOWN_EXIT_CODE);
#endif
    }
}

void CliThread()
{
    sLog->Print("TC>");
    while (!World::IsStopped())
    {
        std::string line;
        switch (Platform::ReadInputLine(line))
        {
            case Platform::InputState::Nothing:
                continue;
            case Platform::InputState::End:
                return EndOfInput();
            case Platform::InputState::Line:
                break;
        }
        if (!Trinity::Trim(line).empty())
            sLog->Print(sWorld->QueueCliCommand(line).get().Output);
        sLog->Print("TC>");
    }
}

#include "World/FreezeDetector.h"
#include "Debugging/Errors.h"
#include "Logging/Log.h"
#include "Platform/Process.h"
#include "World/World.h"

void FreezeDetector::Start(uint32 maxCoreStuckTimeInMs)
{
    _maxCoreStuckTimeInMs = maxCoreStuckTimeInMs;
    _lastChangeMsTime = Platform::GetMSTime();
    _thread = std::thread(&FreezeDetector::Run, this);
}

void FreezeDetector::Stop()
{
    _stopped = true;
    if (_thread.joinable())
        _thread.join();
}

void FreezeDetector::Run()
{
    uint64 nextCheck = Platform::GetMSTime() + 5000;
    while (!_stopped)
    {
        if (Platform::GetMSTime() >= nextCheck)
        {
            Handler();
            nextCheck = Platform::GetMSTime() + 1000;
        }
        Platform::Sleep(50);
    }
}

TC_NOINLINE void FreezeDetector::Handler()
{
    uint64 const now = Platform::GetMSTime();
    uint32 const worldLoopCounter = World::m_worldLoopCounter;
    if (_worldLoopCounter != worldLoopCounter)
    {
        _lastChangeMsTime = now;
        _worldLoopCounter = worldLoopCounter;
        return;
    }
    uint32 const hangs = static_cast<uint32>(now - _lastChangeMsTime);
    if (hangs > _maxCoreStuckTimeInMs)
    {
        TC_LOG_ERROR("server.worldserver", "World Thread hangs for %u ms, forcing a crash!", hangs);
        ABORT_MSG("World Thread hangs for %u ms, forcing a crash!", hangs);
    }
}

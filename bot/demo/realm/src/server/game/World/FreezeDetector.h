#pragma once

#include "Define.h"
#include <atomic>
#include <thread>

// Watches the world thread from a thread of its own, and crashes the process when it no longer moves.
class FreezeDetector
{
public:
    ~FreezeDetector() { Stop(); }

    void Start(uint32 maxCoreStuckTimeInMs);
    void Stop();

private:
    void Run();
    void Handler();

    std::thread _thread;
    std::atomic<bool> _stopped{ false };
    uint32 _worldLoopCounter = 0;
    uint64 _lastChangeMsTime = 0;
    uint32 _maxCoreStuckTimeInMs = 0;
};

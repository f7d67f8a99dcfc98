#pragma once

#include "Network/Socket.h"
#include "Server/WorldSession.h"
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

// The world port: one network thread accepts and reads, the world thread answers.
class WorldSocketMgr
{
public:
    static WorldSocketMgr* instance();

    bool StartWorldNetwork(std::string const& bindIp, uint16 port);
    void StopNetwork();

    void UpdateSessions();
    void SendGlobal(std::string const& text);
    void KickAll();

    // Players who have logged in; bots are no connections.
    uint32 GetSessionCount();
    uint32 GetMaxSessionCount() const { return _maxSessions; }

private:
    void Run();

    Net::Listener _listener;
    std::thread _thread;
    std::atomic<bool> _stopped{ false };
    std::mutex _lock; // of the sessions
    std::vector<std::unique_ptr<WorldSession>> _sessions;
    uint32 _maxSessions = 0;
};

#define sWorldSocketMgr WorldSocketMgr::instance()

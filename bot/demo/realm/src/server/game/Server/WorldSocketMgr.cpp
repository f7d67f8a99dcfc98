#include "Server/WorldSocketMgr.h"
#include <algorithm>

WorldSocketMgr* WorldSocketMgr::instance()
{
    static WorldSocketMgr instance;
    return &instance;
}

bool WorldSocketMgr::StartWorldNetwork(std::string const& bindIp, uint16 port)
{
    if (!_listener.Bind(bindIp, port))
        return false;
    _thread = std::thread(&WorldSocketMgr::Run, this);
    return true;
}

void WorldSocketMgr::StopNetwork()
{
    _stopped = true;
    if (_thread.joinable())
        _thread.join();
    _listener.Close();
    _sessions.clear();
}

void WorldSocketMgr::Run()
{
    while (!_stopped)
    {
        Net::Socket accepted = _listener.Accept(20);
        std::lock_guard<std::mutex> guard(_lock);
        if (accepted.IsOpen())
            _sessions.push_back(std::make_unique<WorldSession>(std::move(accepted)));
        auto const gone = [](std::unique_ptr<WorldSession> const& session) { return !session->Read(); };
        _sessions.erase(std::remove_if(_sessions.begin(), _sessions.end(), gone), _sessions.end());
    }
}

void WorldSocketMgr::UpdateSessions()
{
    {
        std::lock_guard<std::mutex> guard(_lock);
        for (auto& session : _sessions)
            session->Update(session->TakeLines());
    }
    _maxSessions = std::max(_maxSessions, GetSessionCount());
}

void WorldSocketMgr::SendGlobal(std::string const& text)
{
    std::lock_guard<std::mutex> guard(_lock);
    for (auto& session : _sessions)
        if (session->IsLoggedIn())
            session->Send("CHAT " + text);
}

void WorldSocketMgr::KickAll()
{
    std::lock_guard<std::mutex> guard(_lock);
    for (auto& session : _sessions)
        session->Kick();
}

uint32 WorldSocketMgr::GetSessionCount()
{
    std::lock_guard<std::mutex> guard(_lock);
    auto const loggedIn = [](std::unique_ptr<WorldSession> const& session) { return session->IsLoggedIn(); };
    return static_cast<uint32>(std::count_if(_sessions.begin(), _sessions.end(), loggedIn));
}

#include "RemoteAccess/RASession.h"
#include "Accounts/AccountMgr.h"
#include "Configuration/Config.h"
#include "Logging/Log.h"
#include "World/World.h"

void RASession::Run()
{
    Negotiate();
    if (!Login())
        return;
    Send(_motd + "\r\n");
    do
        Send("TC>");
    while (ProcessCommand(ReadString()));
}

// Whatever comes in the first second is taken for a telnet client's negotiation, and swallowed.
void RASession::Negotiate()
{
    std::string negotiation;
    if (_socket.Receive(negotiation, 1000) == Net::ReadState::Data)
        Send("\xFF\xF0");
}

bool RASession::Login()
{
    Send("Authentication Required\r\n");
    Send("Username: ");
    std::string const username = ReadString();
    if (username.empty())
        return false;
    Send("Password: ");
    std::string const password = ReadString();
    if (password.empty())
        return false;

    bool const allowed = AccountMgr::GetSecurity() >= sConfigMgr->GetIntDefault("Ra.MinLevel", 3);
    if (!allowed || !AccountMgr::CheckPassword(username, password))
    {
        Send("Authentication failed\r\n");
        return false;
    }
    TC_LOG_INFO("commands.ra", "User %s (IP: %s) authenticated correctly to RA", username.c_str(), _socket.GetRemoteAddress().c_str());
    return true;
}

bool RASession::ProcessCommand(std::string const& command)
{
    if (command.empty())
        return false;
    TC_LOG_INFO("commands.ra", "Received command: %s", command.c_str());
    if (command == "quit" || command == "exit" || command == "logout")
    {
        Send("Bye\r\n");
        return false;
    }
    Send(sWorld->QueueCliCommand(command).get().Output);
    return true;
}

std::string RASession::ReadString()
{
    std::size_t end = _received.find("\r\n");
    while (end == std::string::npos)
    {
        if (World::IsStopped() || _socket.Receive(_received, 100) == Net::ReadState::Closed || _received.size() > 4096)
            return {};
        end = _received.find("\r\n");
    }
    std::string const line = _received.substr(0, end);
    _received.erase(0, end + 2);
    return line;
}

bool RAServer::Start(std::string const& ip, uint16 port)
{
    if (!_listener.Bind(ip, port))
    {
        TC_LOG_ERROR("server.worldserver", "Failed to bind RA socket acceptor");
        return false;
    }
    _thread = std::thread(&RAServer::Run, this);
    return true;
}

void RAServer::Stop()
{
    _stopped = true;
    if (_thread.joinable())
        _thread.join();
    _listener.Close();
    JoinSessions(false);
}

void RAServer::Run()
{
    while (!_stopped)
    {
        Net::Socket accepted = _listener.Accept(50);
        if (accepted.IsOpen())
            StartSession(std::move(accepted));
        JoinSessions(true);
    }
}

void RAServer::StartSession(Net::Socket socket)
{
    auto session = std::make_shared<RASession>(std::move(socket), sConfigMgr->GetStringDefault("Motd", "Welcome to the sample realm."));
    auto over = std::make_shared<std::atomic<bool>>(false);
    _sessions.push_back({ over, std::thread([session, over]() mutable
    {
        session->Run();
        session.reset(); // closes the connection
        *over = true;
    }) });
}

void RAServer::JoinSessions(bool onlyThoseThatAreOver)
{
    for (auto itr = _sessions.begin(); itr != _sessions.end();)
    {
        if (onlyThoseThatAreOver && !*itr->Over)
        {
            ++itr;
            continue;
        }
        itr->Thread.join();
        itr = _sessions.erase(itr);
    }
}

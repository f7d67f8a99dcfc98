#pragma once

#include "Network/Socket.h"
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

// One telnet operator.
class RASession
{
public:
    RASession(Net::Socket socket, std::string motd) : _socket(std::move(socket)), _motd(std::move(motd)) { }

    void Run();

private:
    void Negotiate();
    bool Login();
    bool ProcessCommand(std::string const& command);
    // A line without its CR LF; empty when there is none any more.
    std::string ReadString();
    void Send(std::string const& text) { _socket.Send(text); }

    Net::Socket _socket;
    std::string _motd;
    std::string _received;
};

// The port of the remote console: accepts in one thread, a thread for each session.
class RAServer
{
public:
    ~RAServer() { Stop(); }

    bool Start(std::string const& ip, uint16 port);
    void Stop();

private:
    struct Session
    {
        std::shared_ptr<std::atomic<bool>> Over;
        std::thread Thread;
    };

    void Run();
    void StartSession(Net::Socket socket);
    void JoinSessions(bool onlyThoseThatAreOver);

    Net::Listener _listener;
    std::thread _thread;
    std::vector<Session> _sessions;
    std::atomic<bool> _stopped{ false };
};

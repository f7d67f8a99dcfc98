#pragma once

#include "Network/Socket.h"
#include <atomic>
#include <string>
#include <thread>

// The SOAP console: executeCommand(command) of urn:TC over HTTP, one request at a time.
class SoapServer
{
public:
    ~SoapServer() { Stop(); }

    bool Start(std::string const& ip, uint16 port);
    void Stop();

private:
    void Run();
    void Serve(Net::Socket& socket);

    Net::Listener _listener;
    std::thread _thread;
    std::atomic<bool> _stopped{ false };
};
